// The formula, the check and the plot of the numbers that are selected: one of each value. See `value` in facts.py

const chosen = {}; // value -> the index in the maps of the number that the reader has selected in place of the example
const judged = new Map(); // operation -> whether the reader has accused its rule
const RAISE = 0.01;
const four = (number) => text(Number(number.toPrecision(4)));
const counted = (number) => number.toLocaleString("en");
// A number in an expression: in parentheses if it is negative
const factor = (number) => (number < 0 ? `(${four(number)})` : four(number));

// Two numbers, and how far they are apart, with some digits: the difference of the two as they are shown
function apart(before, after, some = 3) {
  const change = Math.abs(after - before);
  const digits = change > 0 && change < Infinity ? Math.max(4, some - 1 - Math.floor(Math.log10(change))) : 4;
  if (digits > 12 || !(Math.abs(before) + Math.abs(after) < 1e6)) return [four(before), four(after), four(change)];
  const [start, end] = [before, after].map((number) => number.toFixed(digits));
  return [...[start, end].map((number) => number.replace("-", "−")), four(Number(Math.abs(end - start).toFixed(digits)))];
}

const flat = (place, shape) => place.reduce((i, k, axis) => i * shape[axis] + k, 0);
const labelled = (id, place, back) => (back ? gradientOf(id) : value(id).name) + (place.length ? `[${place.join(", ")}]` : "");

function mapped(id) {
  const { name, array, gradient } = value(id);
  const look = [array, gradient].find((look) => look?.maps);
  return look && entryOf(look, name);
}

// The selected number: its place, its indices among all and among those of the maps, -1 if it is not drawn, and its name
function selected(id) {
  const { shape, example = 0 } = value(id);
  const [map, far] = [mapped(id), shape.map((_, axis) => shape.slice(axis + 1).reduce((n, k) => n * k, 1))];
  const place = id in chosen ? map.at(chosen[id]) : shape.map((size, axis) => Math.floor(example / far[axis]) % size);
  return { place, d: map?.find(place) ?? -1, i: flat(place, shape), label: labelled(id, place) };
}

const numberIn = (look, i, d) => (!look ? NaN : i < look.elements.length ? Number(look.elements[i]) : look.maps ? entryOf(look, "").numbers[d] ?? NaN : NaN);

// The number of a value that meets an element of a result: its own, or the one that is spread there
function aligned(id, { place }, to, back) {
  const { shape, [back ? "gradient" : "array"]: look } = value(id);
  if (shape.length > place.length || shape.some((size, axis) => size !== 1 && size !== value(to).shape.at(axis - shape.length))) return NaN;
  const own = shape.map((size, axis) => (size === 1 ? 0 : place.at(axis - shape.length)));
  return numberIn(look, flat(own, shape), look?.maps ? entryOf(look, "").find(own) : -1);
}

// An expression with the names of values, or with their numbers where they are known
const inNames = (parts) => parts.map((part, k) => (k % 2 ? value(part).code : part)).join("");
function filled(parts, element, to) {
  return parts.map((part, k) => {
    const number = k % 2 ? aligned(part, element, to) : part;
    const alone = parts[k - 1]?.endsWith("(") && parts[k + 1]?.startsWith(")");
    return k % 2 === 0 ? part : Number.isNaN(number) ? value(part).code : alone ? four(number) : factor(number);
  }).join("");
}

// What is computed at this step, for the selected numbers

function formulasOf(step) {
  const o = op(step);
  if (step.kind === "backward") return o.learns.filter((id) => value(id).gradient?.size).map((id) => backward(o, id));
  const made = step.kind === "forward" && !step.formulas?.length && forward(o);
  return made ? [made] : (step.formulas || []).map(({ term, each, ...said }) => (term ? termOf(o, term) : each ? { ...each[Math.min(item(), each.length - 1)] } : said));
}

// The selected term of a loss, without the mean or sum
function termOf({ name, inputs }, look) {
  const element = selected(inputs[0]);
  const given = inputs.map((id) => aligned(id, element, inputs[0])).filter(Number.isFinite);
  return { lines: [`${name}(${given.map(four).join(", ")}) = ${four(numberIn(look, element.i, element.d))}`], note: `the term of ${noted(inputs[0], element) || element.label}` };
}

function forward({ output, expression, row, sums, reach }) {
  const out = value(output);
  if (!expression || !out.array?.size) return null;
  const [element, plain] = [selected(output), inNames(expression)];
  const [numbers, result] = [filled(expression, element, output), four(numberIn(out.array, element.i, element.d))];
  const [, terms, which] = sums?.find(([i]) => i === element.i) || [];
  if (terms) return { lines: [`${out.code} = ${plain}`, `${element.label} = ${terms} = ${result}`.replaceAll(" × 1 ", " ")], note: noted(output, element, which) };
  const steps = numbers !== plain && !numbers.startsWith("-") ? `${numbers} = ` : "";
  if (out.array.size > 1 && !row) {
    if (!reach?.each || !steps) return reach ? null : { lines: [`${out.code} = ${plain}`] };
    const passes = reach.gate ? (result === "0" ? "not above 0, so it is blocked: slope 0" : "above 0, so it passes: slope 1") : "";
    return { lines: [`${element.label} = ${steps}${result}`], note: noted(output, element, passes) };
  }
  const head = row ? element.label : out.code;
  return { lines: [plain.startsWith(`${head}(`) ? plain : `${head} = ${plain}`, `= ${steps}${result}`], ...(row && { note: noted(output, element) }) };
}

const noted = (id, { place }, ...notes) => [value(id).axes ? inWords(id, place) : "", ...notes].filter(Boolean).join("; ");

// The chain rule: of one share, or the shares until now and their sum
function backward(o, id) {
  const { parts, gradient } = value(id);
  const [element, here] = [selected(id), facts.ops.indexOf(o)];
  const last = parts.findLastIndex(([from]) => from === here);
  const more = parts.length - 1 - last;
  const g = numberIn(gradient, element.i, element.d);
  const name = labelled(id, element.place, true);
  if (parts.length === 1) {
    const { lines: [head, ...rest], note } = shareOf(parts[0], id, element, g);
    return { lines: [`${name} = ${head}`, ...rest], note: noted(id, element, note), ...trialOf(id, element, g, here) };
  }
  const first = Math.max(0, last - 4); // of many, the last five
  const shares = parts.slice(0, last + 1).map(([, look]) => numberIn(look, element.i, element.d));
  const lines = parts.slice(first, last + 1).map((part, k) => {
    const [from] = part;
    const places = parts.flatMap(([other], i) => (other === from ? [i] : []));
    const place = places.length > 1 ? `, place ${places.indexOf(first + k) + 1} of ${places.length}` : "";
    const made = value(facts.ops[from].output);
    return `through ${made.words || made.name}${place}: ${shareOf(part, id, element, shares[first + k]).lines.join(" ")}`;
  });
  const added = (first ? "… + " : "") + shares.slice(first).map((share, k) => (k ? factor(share) : four(share))).join(" + ");
  lines.push(`${name} = ${added}${more ? ` + ${counted(more)} more to come` : ` = ${four(g)}`}`);
  return { lines, note: noted(id, element, "the share of each way, and their sum"), ...(more ? {} : trialOf(id, element, g, here)) };
}

const bare = (expression) => expression.replace(/^\((.*)\)$/, "$1");

// A share, as incoming gradient × local slope, or as the first products of its sum
function shareOf([from, , slope, products, formula], id, element, share) {
  const { output, name, inputs, reach, own } = facts.ops[from];
  if (formula) return { lines: [inNames(formula), `= ${filled(formula, element, id)} = ${four(share)}`], note: `${labelled(output, element.place, true)} comes in` };
  const came = String(value(output).shape) === String(value(id).shape) ? aligned(output, element, id, true) : NaN;
  const here = (slope || reach?.each) && Number.isFinite(share / came) ? [1, came, share / came, "", labelled(output, element.place, true)] : null;
  const [count, g, s, terms, which] = products.find(([i, count]) => i === element.i && (count || !here))?.slice(1) || here || [];
  if (count === undefined) return { lines: [four(share)], note: "as the rule gives it" };
  if (!count && !reach?.each) return { lines: [`0, as no number of ${value(output).name} depends on it`] };
  if (count > 1) {
    const all = reach?.kernel && reach.w === id ? value(reach.coarse).shape.slice(0, -1).reduce((n, k) => n * k) : count;
    const head = count < all ? `sum over ${counted(count)} of ${counted(all)} places (at the others it meets a 0 or the edge)` : `sum over ${counted(count)} numbers of ${value(output).name}`;
    return { lines: [head, `= ${terms} = ${four(share)}`], note: `each: incoming gradient × local slope, of ${which}` };
  }
  const local = slope ? inNames(slope) : "local slope";
  const numbers = slope && value(id).shape.length ? filled(slope, element, id) : local;
  const whose = !slope ? ` of ${name}()` : inputs.length === 1 && !own && !/^\(?-?1\)?$/.test(local) ? `; ${bare(local)} is that of ${name}()` : "";
  const note = `incoming gradient × local slope${whose}${/maximum\(.*1e-/.test(local) ? "; the maximum keeps it from a division by 0" : ""}${own ? `; your rule of ${name}() says that it is ${slope ? bare(local) : four(s)}` : ""}${numbers !== local ? `; here it is ${bare(numbers)}` : ""}`;
  return { lines: [`${which} × ${local}`, `= ${four(g)} × ${factor(s)} = ${four(share)}`], note };
}

const unjudged = (k) => Boolean(facts.ops[k].test && facts.ops[k].own && !judged.has(k));

// The selected number raised, and moved about: what the loss does, and what its gradient predicts
function trialOf(id, element, g, here) {
  const { tried, moves, array } = value(id);
  if (!Number.isFinite(g)) return {};
  if (unjudged(here)) return { check: "Judge the rule first; then this tells what the loss does." };
  const [raised, span, ...changes] = tried?.[element.i] || [];
  if (raised === undefined) return { check: `This number was not tried: only some were, as many as a second allows. Predicted: raise ${element.label} by ${RAISE}, and ${facts.goal} changes by ${four(RAISE * g)}.` };
  const [before, after, far] = apart(facts.base, facts.base + raised, 4);
  const happens = raised ? `goes from ${before} to ${after}, ${raised < 0 ? "down" : "up"} by ${far}` : "does not move";
  const differ = Math.abs(raised - RAISE * g) > 0.2 * Math.abs(raised) + 1e-8 * Math.abs(facts.base); // of which floats see nothing
  const why = differ ? `. They differ: ${doubt(id, here)}` : raised ? ": close." : ".";
  const check = `Raise ${element.label} by ${RAISE}: ${facts.goal} ${happens}. Predicted: ${RAISE} × ${factor(g)} = ${four(RAISE * g)}${why}${changes.length ? "" : " No plot: all would take too long."}`;
  return { check, plot: changes.length ? around(element, numberIn(array, element.i, element.d), g, span, changes, moves) : null };
}

// Why a prediction is wrong; a rule of the user's is named after it was judged
function doubt(id, here) {
  const ways = new Set([id]); // and the values through which it reaches the loss
  for (const { learns, output } of facts.ops) if (learns.some((v) => ways.has(v))) ways.add(output);
  const found = (facts.wrong || []).filter(([, v]) => ways.has(v));
  const rules = [...new Set(found.filter(([k]) => !unjudged(k)).map(([k, , name]) => `of ${name}${k === here ? " (here)" : ""}`))];
  const all = rules.length > 1 ? `${rules.slice(0, -1).join(", ")} and ${rules.at(-1)}` : rules[0];
  return all ? `finite differences do not agree with the rule ${all}.` : found.length ? "a rule is wrong, of this step or of one nearer to the loss. Which? “Is this rule right?” compares each alone." : "the slope changes along the way.";
}

function around({ label }, x, g, span, changes, numbers) {
  const base = (changes.length - 1) / 2;
  const by = changes.map((_, k) => (k === base ? 0 : Number((x + (span * (k - base)) / base).toPrecision(6)) - x));
  const places = by.map((far, k) => `${label} = ${four(x + far)}${k === base ? "" : ` instead of ${four(x)}`}`);
  const says = by.map((far, k) => `${facts.goal} is ${changes[k] === null ? "not finite" : `${four(facts.base + changes[k])}, changed by ${four(changes[k])}`}. Predicted: ${four(far)} × ${factor(g)} = ${four(far * g)}.`);
  says[base] = `${facts.goal} is ${four(facts.base)}.`;
  return { ...framed(facts.base, changes, (g * span) / base, `g_${label} = ${four(g)}`), axis: [x - span, x + span], base, places, says, numbers };
}

// The heights of losses in thousandths of a frame with room for most, null where one is not finite, and the tangent's rise
function framed(loss, changes, rise, slope) {
  const finite = changes.filter((change) => change !== null).sort((a, b) => a - b);
  const sizes = finite.map(Math.abs).sort((a, b) => a - b);
  const reach = 5 * sizes[Math.floor(0.9 * (sizes.length - 1))] || Infinity;
  let [low, high] = [finite[0], finite.at(-1)].map((end) => Math.max(-reach, Math.min(reach, end)));
  const missing = changes.length - finite.length;
  const caption = `Line: ${facts.goal}. Dashed: the tangent, slope ${slope}.${missing ? ` At ${missing} of ${changes.length} places ${facts.goal} is not finite.` : ""}`;
  const [ends, tall] = [apart(loss + low, loss + high).slice(0, 2), Math.max(high - low, 1e-9 * Math.abs(loss)) || 1];
  low = (low + high - tall) / 2;
  const height = (far) => Math.round(Math.max(-1e5, Math.min(1e5, (1000 * far) / tall)));
  return { caption, ends, curve: changes.map((change) => (change === null ? null : height(change - low))), rise: Number.isFinite(rise) ? height(rise) : undefined };
}

// The update: w ← w − lr × g, and the loss after it

function updateOf({ rates, learnt, loss, changes, slope, alone, wrong }) {
  const picks = learnt.map((id) => {
    const { label, i, d } = selected(id);
    return { label, x: numberIn(value(id).array, i, d), g: numberIn(value(id).gradient, i, d) };
  });
  const lines = rates.map((lr) => picks.map(({ label, x, g }) => {
    const [before, after] = apart(x, x - lr * g);
    return [`${label} ← ${label} − lr × g_${label}`, `= ${before} − ${four(lr)} × ${factor(g)} = ${after}`];
  }));
  const says = rates.map((lr, k) => {
    const [before, after] = apart(loss, loss + changes[k]);
    if (!lr) return `${facts.goal} is ${before}. No step.`;
    const far = changes[k] / (-lr * slope); // of what is predicted
    const verdict = changes[k] === null || changes[k] >= 0 ? "It does not fall: this step is too long." : far < 0.5 && !wrong ? "It falls, but much less than predicted: this step is too long for a straight line." : "It falls.";
    const doubted = wrong ? " Finite differences disagree with a rule, so this is wrong." : "";
    return `${facts.goal} goes from ${before} to ${changes[k] === null ? "what is not finite" : after}. ${verdict} Predicted: a change by −${four(lr)} × ${four(slope)} = ${four(-lr * slope)}.${doubted}`;
  });
  const [{ label, x, g }] = picks;
  const axis = [rates[0], rates.at(-1)].map((lr) => (alone ? x - lr * g : lr));
  const told = alone ? `g_${label} = ${four(g)}` : `−|g|² = ${four(-slope)}: minus the sum of the squares of all gradients`;
  const frame = framed(loss, changes, -slope * (rates[1] - rates[0]), told);
  return { lines, plot: { ...frame, axis, base: rates.indexOf(0), places: rates.map((lr) => `lr = ${four(lr)}`), says } };
}
