// Arrays: of item 0 and its first channels there are numbers of four digits, and each of them can be pointed at

let packed = new Int8Array(); // see Store in array_views.py
let scene = []; // the maps of this step
let spot = null; // the element that is pointed at: { entry, c, y, x, step }
let reach = null; // how the output of this step's operation depends on its inputs: see geometry.py
let opened = false; // the statistics
const channel = { fine: 0, coarse: 0 }; // pointed at last
const sumOf = make("div", { id: "sum", role: "status" });

function tensors(step) {
  const before = spot?.step === step.kind + step.op ? spot : null; // at another moment of the training the place stays
  [scene, spot, reach] = [[], null, (step.op >= 0 && op(step).reach) || null];
  if (!before) Object.assign(channel, { fine: 0, coarse: 0 });
  moment();
  document.body.classList.toggle("images", Boolean(reach?.kernel));
  const figures = figuresOf(step);
  if (!scene.length) return figures.filter((figure) => figure !== sumOf);
  const same = before && scene.find((entry) => entry.name === before.entry.name);
  const first = same || scene.find((entry) => entry.result) || scene.at(-1);
  const [, count, tall, wide] = first.shape;
  const example = value(first.id)?.example ?? first.numbers.reduce((best, number, i) => (Math.abs(number) > Math.abs(first.numbers[best]) ? i : best), 0);
  for (const side of same || !reach?.kernel ? [] : ["fine", "coarse"]) {
    const entry = scene.find((entry) => entry.id === reach[side]);
    if (entry) channel[side] = Math.floor((value(entry.id).example ?? 0) / (entry.shape[2] * entry.shape[3])) % entry.shape[1];
  }
  if (!same && first.side === "w") channel.coarse = Math.floor(example / (count * tall * wide));
  if (same) point(same, before.c, before.y, before.x);
  else point(first, Math.floor(example / (tall * wide)) % count, Math.floor(example / wide) % tall, example % wide);
  return figures;
}

// The picture that belongs to this moment of the training, below its slider
function moment() {
  $("frames").querySelector("img")?.remove();
  if (facts.image) $("frames").append(make("img", { src: facts.image, alt: `picture ${facts.label}` }));
}

function figuresOf(step) {
  const made = new Set(facts.ops.map((o) => o.output));
  const begun = Object.keys(facts.values).filter((id) => !made.has(id));
  if (step.kind === "begin") return [...tagged("goes in", begun), sumOf];
  if (step.kind === "failed") return [...tagged("in", step.inputs), sumOf];
  if (step.kind === "loss") return [...tagged("result", [facts.result]), ...tagged("its gradient", [facts.result], "g"), sumOf];
  if (step.kind === "end") return [...few(begun.filter((id) => value(id).gradient), (id) => row(headed(value(id).name, id), card(id), card(id, "g"))), sumOf];
  const o = op(step);
  const { w, b, pool, gate } = reach || {};
  const late = (id) => w && id !== o.inputs[0]; // beside the weights' own
  if (step.kind === "forward") return [...tagged("in", o.inputs.filter((id) => id !== b)), ...tagged("out", [o.output]), sumOf, ...tagged("in", o.inputs.filter((id) => id === b))];
  const sums = o.learns.filter((id) => (value(id).parts || []).length > 1);
  const single = o.learns.filter((id) => !sums.includes(id));
  const needed = o.used; // by the lines of the rule
  const early = tagged("goes out", single.filter((id) => !late(id)), "g");
  return [
    ...tagged("comes in", [o.output], "g"),
    ...tagged("went in", pool || gate ? o.inputs.filter((id) => !needed.includes(id)) : []),
    ...tagged("is used", needed.filter((id) => !w || id === w)),
    ...early,
    ...(early.length ? [sumOf] : []),
    ...tagged("is used", needed.filter((id) => w && id !== w)),
    ...tagged("goes out", single.filter(late), "g"),
    ...sums.map((id) => sum(id, o)),
    ...(early.length ? [] : [sumOf]),
  ];
}

function tagged(heading, ids, gradient) {
  return few(ids, (id) => {
    const figure = card(id, gradient);
    figure.firstChild.prepend(make("h3", {}, gradient ? heading : headed(heading, id)));
    return figure;
  });
}

// With what it is to the network
const headed = (heading, id) => (ROLES.has(value(id).role) ? `${heading} · ${value(id).role}` : heading);
const ROLES = new Set(["input", "target", "parameter", "constant"]);

function few(ids, draw) {
  const cards = ids.slice(0, 24).map(draw);
  if (ids.length > 24) cards.push(make("p", {}, `and ${ids.length - 24} more`));
  return cards;
}

function row(heading, ...cards) {
  return make("section", { class: "row", "aria-label": heading }, make("h3", {}, heading), make("div", { class: "cards" }, ...cards));
}

// A gradient: each contribution before the sum
function sum(id, o) {
  const { parts, type, gradient } = value(id);
  const last = parts.findLastIndex(([k]) => facts.ops[k] === o);
  const first = Math.max(0, last - 5); // of many, those before are counted
  const complete = last === parts.length - 1;
  const signed = (text, ...figures) => make("div", { class: "part" }, make("b", { class: "sign" }, text), ...figures); // wrapped as one
  const cards = first ? [signed(`${first} before`)] : [];
  parts.slice(first, last + 1).forEach(([k, look], n) => {
    const i = first + n;
    const from = facts.ops[k];
    const name = `contribution ${i + 1} of ${parts.length}, from ${from.name} → ${value(from.output).name}`;
    const one = figure(look, name, type, "gradient" + (from === o ? " fresh" : ""), "", id);
    cards.push(i ? signed("+", one) : one);
  });
  cards.push(complete ? signed("=", figure(gradient, gradientOf(id), type, "gradient", "", id)) : signed(`+ ${parts.length - last - 1} more to come`));
  return row(`goes out: ${gradientOf(id)} is a sum`, ...cards);
}

function card(id, gradient) {
  const v = value(id);
  return figure(gradient ? v.gradient : v.array, gradient ? gradientOf(id) : v.name, v.type, gradient ? "gradient" : v.role, v.full, id);
}

function figure(look, name, type, role, full, id) {
  const caption = make("figcaption", {}, make("b", {}, name), " ", make("span", { title: type }, type.split(" ")[0].replace("()", "")));
  if (full) caption.title = full;
  const card = make("figure", { class: role }, caption);
  if (!look) card.append(make("p", {}, "not at hand"));
  else if (look.size === 1) card.append(numbers(look.elements, type));
  else {
    const told = make("details", opened || look.size <= 16 ? { open: "" } : {}, make("summary", {}, "numbers"));
    told.addEventListener("toggle", () => look.size > 16 && (opened = told.open));
    if (look.maps) card.append(...maps({ ...entryOf(look, name), id, gradient: role.startsWith("gradient"), fresh: role.endsWith("fresh") }));
    if (look.bars) told.append(histogram(look, name));
    if (look.statistics) told.append(statistics(look));
    told.append(look.size <= look.elements.length ? numbers(look.elements, type) : make("small", {}, "begins ", ...apart(look.elements.slice(0, 4))));
    card.append(...(look.maps ? [told] : [...told.children].slice(1)));
  }
  if (look?.bad) card.append(make("p", { class: "bad" }, `${look.bad} not finite`));
  return card;
}

// The numbers of an array, as maps[k][c][y][x]; a number outside a map is 0, as padding is
function entryOf(look, name) {
  const { start, shape, words, index, step, colour } = look.maps;
  const [filters, count, tall, wide] = shape;
  const size = filters * count * tall * wide;
  let low = start + size;
  const there = packed.subarray(start, low).reduce((sum, power) => sum + (power !== -128), 0);
  look.numbers ??= Array.from({ length: size }, (_, i) => {
    if (packed[start + i] === -128) return 0;
    const digits = packed[low + there] * 256 + (packed[low++] & 255);
    return digits === 32767 ? NaN : Number(`${digits}e${packed[start + i]}`);
  });
  const read = (c, y, x, k = 0) => (c < 0 || c >= count || k >= filters ? NaN : y < 0 || x < 0 || y >= tall || x >= wide ? 0 : look.numbers[((k * count + c) * tall + y) * wide + x]);
  const label = (c, y, x, k) => `${name}[${index.replace(/[kcyx]/g, (axis) => ({ k, c, y: y * step, x: x * step })[axis])}]`;
  return { look, name, shape, words, step, colour, read, label, numbers: look.numbers };
}

function maps(entry) {
  const { id, name, words, numbers, gradient, fresh } = entry;
  const [filters, count, tall, wide] = entry.shape;
  const out = spotted().output;
  const ids = (side) => (side === "each" && reach.each ? [out, ...reach.each] : [reach[side]]);
  entry.side = (entry.step === 1 && reach && ["each", "fine", "coarse", "w"].find((side) => ids(side).includes(id))) || "";
  entry.result = Boolean(entry.side) && (way() ? gradient && id !== out && (fresh || !(value(id).parts?.length > 1)) : id === out);
  const bars = filters * count * tall === 1;
  const key = make("small", { class: "key" }, words);
  const help = { tabindex: 0, role: "application", "aria-label": `${name}: ${words.replace("{k}", "")}. Arrow keys point at another element.` };
  if (bars) {
    const most = Math.max(...numbers.map(Math.abs).filter(Number.isFinite), Number.MIN_VALUE);
    const signs = numbers.some((number) => number < 0);
    entry.rows = numbers.map((number, x) => {
      const bar = make("i", { class: number < 0 ? "negative" : "" });
      bar.style.width = `${((signs ? 50 : 100) * Math.abs(number || 0)) / most}%`;
      return Object.assign(make("div", {}, make("small", {}, String(x)), make("span", signs ? { class: "signed" } : {}, bar), make("code", {}, text(number))), { x });
    });
    entry.pane = make("div", { class: "bars", ...help }, ...entry.rows);
  } else {
    entry.columns = Math.ceil(Math.sqrt(count + entry.colour));
    const scale = Math.max(1, Math.floor(312 / (entry.columns * Math.max(tall, wide)))); // crisp, and as large as a card
    entry.scale = [tall, wide].map((n) => Math.max(scale, Math.floor(80 / (entry.columns * n)))); // a narrow matrix is stretched
    const [h, w] = [tall * entry.scale[0] + GAP, wide * entry.scale[1] + GAP].map((n, axis) => n * (axis ? entry.columns : Math.ceil((count + entry.colour) / entry.columns)));
    entry.pane = make("canvas", { width: w - GAP, height: h - GAP, class: tall * wide < 50 ? "kernel" : "", ...help });
  }
  entry.key = key;
  const locate = (event) => {
    if (bars) return [0, 0, event.target.closest(".bars > div")?.x ?? -1];
    const [px, py] = [(event.offsetX / entry.pane.clientWidth) * entry.pane.width, (event.offsetY / entry.pane.clientHeight) * entry.pane.height];
    const [down, across] = [tall * entry.scale[0] + GAP, wide * entry.scale[1] + GAP];
    const tile = Math.floor(px / across) + entry.columns * Math.floor(py / down);
    return [tile, Math.floor((py % down) / entry.scale[0]), Math.floor((px % across) / entry.scale[1])];
  };
  const go = (tile, y, x) => {
    if (tile >= 0 && tile < count + entry.colour && y >= 0 && y < tall && x >= 0 && x < wide) point(entry, Math.max(0, tile - entry.colour), y, x);
  };
  for (const kind of ["pointermove", "pointerdown"]) entry.pane.addEventListener(kind, (event) => (kind === "pointerdown" || event.pointerType === "mouse") && go(...locate(event)));
  entry.pane.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if ((!dx && !dy) || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own arrows step
    if (spot.entry !== entry) return go(entry.colour, 0, 0);
    const [c, y, x] = [spot.c + entry.colour, spot.y + dy, spot.x + (bars ? dx + dy : dx)];
    if (bars) return go(0, 0, x);
    const tile = c + (x < 0 ? -1 : x >= wide ? 1 : 0) + entry.columns * (y < 0 ? -1 : y >= tall ? 1 : 0); // over the edge of a map lies the next
    go(tile, (y + tall) % tall, (x + wide) % wide);
  });
  scene.push(entry);
  return [entry.pane, key];
}

const GAP = 6;
const spotted = () => op(facts.steps[at]) || {};
const way = () => facts.steps[at].kind === "backward";
const text = (number) => (Number.isFinite(number) ? (number && Math.abs(number) < 1e-4 ? number.toExponential() : String(number)).replaceAll("-", "−") : "not finite");

function draw(entry) {
  const lit = lights(entry);
  if (entry.rows) return entry.rows.forEach((bar, x) => bar.classList.toggle("lit", lit.some(([, , left, , wide]) => x >= left && x < left + wide)));
  const { pane, scale: [down, across], columns, colour, key, words } = entry;
  const [filters, count, tall, wide] = entry.shape;
  const k = Math.min(filters - 1, entry.side === "w" ? channel.coarse : 0);
  if (words.includes("{k}")) key.textContent = words.replace("{k}", k);
  const brush = pane.getContext("2d");
  brush.clearRect(0, 0, pane.width, pane.height);
  brush.imageSmoothingEnabled = false;
  for (let t = 0; t < count + colour; t++) {
    const [left, top] = [(t % columns) * (wide * across + GAP), Math.floor(t / columns) * (tall * down + GAP)];
    brush.save();
    brush.beginPath();
    brush.rect(left - GAP / 2, top - GAP / 2, wide * across + GAP, tall * down + GAP);
    brush.clip();
    brush.drawImage(tile(entry, k, t - colour), left, top, wide * across, tall * down);
    for (const [c, y, x, high, broad, all] of lit) {
      const own = c === t - colour || t < colour;
      if (!own && !all) continue;
      for (const [style, width] of [["#fff", own ? 5 : 2], [own ? (entry.gradient ? "#000" : "#d55e00") : "#d55e00", own ? 2.5 : 1]]) {
        Object.assign(brush, { strokeStyle: style, lineWidth: width });
        brush.strokeRect(left + x * across, top + y * down, broad * across, high * down);
      }
    }
    brush.restore();
  }
}

// The first map of an array, as the address of an image
function chipOf(look, gradient) {
  if (!look?.maps || look.maps.shape[2] < 2) return "";
  return (look.chip ??= tile({ ...entryOf(look, ""), gradient }, 0, -look.maps.colour).toDataURL());
}

// A map as an image of its pixels, made once; c is -1 for all three channels as colours
function tile({ look, shape: [, , tall, wide], read, gradient }, k, c) {
  return ((look.tiles ??= {})[[k, c]] ??= (() => {
    const finite = look.numbers.filter(Number.isFinite);
    let [low, high] = finite.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);
    if (gradient) [low, high] = [-Math.max(-low, high), Math.max(-low, high)];
    const image = new ImageData(wide, tall);
    const level = (channel, y, x) => (255 * (read(channel, y, x, k) - low)) / (high - low || 1);
    for (let i = 0; i < wide * tall; i++) {
      const [y, x] = [Math.floor(i / wide), i % wide];
      const v = read(Math.max(0, c), y, x, k);
      const deep = gradient && Math.abs(v / (high || 1)) ** 0.7;
      const colours = gradient ? (v < 0 ? BLUE : VERMILION).map((part) => 255 - deep * (255 - part)) : c < 0 ? [0, 1, 2].map((part) => level(part, y, x)) : Array(3).fill(level(c, y, x));
      image.data.set([...colours.map(Math.round), Number.isNaN(v) ? 0 : 255], 4 * i);
    }
    const canvas = make("canvas", { width: wide, height: tall });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  })());
}
const [BLUE, VERMILION] = [[0, 90, 160], [213, 94, 0]];

function point(entry, c, y, x) {
  const step = facts.steps[at];
  spot = { entry, c, y, x, step: step.kind + step.op };
  const { rows, group, pool } = reach || {};
  if (entry.side === "w") [channel.fine, channel.coarse] = rows ? [y, x] : [c + group[0] * Math.floor(channel.coarse / group[1]), channel.coarse];
  else channel[entry.side] = rows ? x : c;
  if (pool) channel.fine = channel.coarse = c;
  else if (group && !rows && entry.side && entry.side !== "w") { // channels see those of their group only
    const [own, other] = entry.side === "fine" ? ["fine", "coarse"] : ["coarse", "fine"];
    const [mine, theirs] = own === "fine" ? group : [group[1], group[0]];
    if (Math.floor(channel[own] / mine) !== Math.floor(channel[other] / theirs)) channel[other] = theirs * Math.floor(channel[own] / mine);
  }
  scene.forEach(draw);
  fill(sumOf, ...computed());
}

// Along an axis, from a pixel of one side: [place in the kernel, place on the other side]
function taps(side, axis, place) {
  const [k, s, p, d] = [reach.kernel, reach.stride, reach.pad, reach.dilation].map((pair) => pair[axis]);
  const size = entrySide("coarse")?.shape[2 + axis] ?? Infinity;
  const all = Array.from({ length: k }, (_, i) => [i, side === "coarse" ? place * s - p + i * d : (place + p - i * d) / s]);
  return side === "coarse" ? all : all.filter(([, there]) => Number.isInteger(there) && there >= 0 && there < size).reverse();
}
const entrySide = (side) => scene.find((entry) => entry.side === side);
const inGroup = () => channel.fine - (reach.group ? reach.group[0] * Math.floor(channel.coarse / reach.group[1]) : 0);

// What lights up: rectangles [channel, y, x, height, width, in all channels]
function lights(of) {
  const { entry, c, y, x } = spot;
  if (of === entry) return [[c, y, x, 1, 1]];
  if (!of.side || !entry.side) return [];
  if (of.side === entry.side) return [[c, y, x, 1, 1]];
  const [, , tall, wide] = of.shape;
  if (reach.rows) {
    const [i, j] = [channel.fine, channel.coarse];
    if (of.side === "w") return [entry.side === "fine" ? [0, i, 0, 1, wide] : [0, 0, j, tall, 1]];
    return [entry.side === "w" ? [0, 0, of.side === "fine" ? i : j, 1, 1] : [0, 0, 0, 1, wide]];
  }
  const tile = of.side === "w" ? inGroup() : channel[of.side];
  const { stride, pad, dilation } = reach;
  if (entry.side === "w") {
    const far = entrySide("coarse")?.shape.slice(2) || [1, 1];
    return [of.side === "coarse" ? [tile, 0, 0, tall, wide] : [tile, ...[y, x].map((i, axis) => i * dilation[axis] - pad[axis]), ...far.map((n, axis) => (n - 1) * stride[axis] + 1)]];
  }
  const spans = [y, x].map((place, axis) => taps(entry.side, axis, place).map((pair) => pair[of.side === "w" ? 0 : 1]));
  if (spans.some((span) => !span.length)) return [];
  const ends = spans.map((span) => [Math.min(...span), Math.max(...span)]);
  return [[tile, ends[0][0], ends[1][0], ends[0][1] - ends[0][0] + 1, ends[1][1] - ends[1][0] + 1, Boolean(reach.w) && of.side !== "w"]];
}

// The element that is pointed at, computed from those that light up

function computed() {
  const { entry, c, y, x } = spot;
  const back = way();
  const k = entry.side === "w" ? channel.coarse : 0;
  const own = make("b", {}, text(entry.read(c, y, x, k)));
  const begins = make("b", {}, entry.label(c, y, x, k));
  const source = (id, gradient) => {
    const look = id && (gradient ? value(id).gradient : value(id).array);
    return look?.maps?.step === 1 ? entryOf(look, gradient ? gradientOf(id) : value(id).name) : null;
  };
  const line = (...parts) => make("p", {}, begins, " = ", ...parts);
  const plain = [line(own)];
  if (!entry.result) return reach?.kernel && entry.side && entry.side !== "w" ? [line(own, `: ${met(entry.side, c, y, x)}`)] : plain;
  const out = spotted().output;
  if (reach.each) {
    if (!back) {
      const from = reach.each.map((id) => source(id)).filter(Boolean);
      return [line(`${spotted().name} of `, [...from.map((e) => `${e.label(c, y, x)} = ${text(e.read(c, y, x))}`), ...reach.others.map((id) => value(id).name)].join(" and "), ", so ", own, reach.gate ? (entry.read(c, y, x) ? ": let through" : ": shut") : "")];
    }
    const [came, here] = [source(out, true)?.read(c, y, x), entry.read(c, y, x)];
    if (!came && !(reach.gate && came === 0)) return plain;
    const slope = reach.gate ? Number(source(out).read(c, y, x) !== 0) : (here / came).toPrecision(3);
    return [line(`${gradientOf(out)} × slope = ${text(came)} × ${slope} = `, own, reach.gate ? (slope ? ": let through" : `: shut, as ${source(entry.id).label(c, y, x)} was`) : "")];
  }
  const other = entry.side === "fine" ? "coarse" : "fine";
  const [w, b, from] = [source(reach.w), source(reach.b), source(reach[other], back)];
  if (entry.side === "w") {
    const [a, g] = [source(reach.fine, reach.fine === out), source(reach.coarse, reach.coarse === out)];
    if (!a || !g) return plain;
    const [items] = value(out).type.slice(1).split(",");
    let part = 0;
    if (reach.rows) part = a.read(0, 0, y) * g.read(0, 0, x);
    else {
      const [, , tall, wide] = g.shape;
      for (let i = 0; i < tall * wide; i++) {
        const [v, u] = [Math.floor(i / wide), i % wide];
        part += g.read(channel.coarse, v, u) * a.read(channel.fine, v * reach.stride[0] - reach.pad[0] + y * reach.dilation[0], u * reach.stride[1] - reach.pad[1] + x * reach.dilation[1]);
      }
    }
    return [line(`Σ over ${items} items${reach.rows ? "" : " and all places"} of ${a.name} × ${g.name} = `, own), make("p", {}, `Item 0 gives ${part.toPrecision(3)}.`)];
  }
  if (!from) return plain;
  if (reach.pool) return pooled(entry, from, own, line, c, y, x);
  if (!w) return plain;
  const bias = b && !back ? ` + ${text(b.read(0, 0, channel[entry.side]))} (${b.name})` : "";
  const count = reach.group[entry.side === "coarse" ? 0 : 1];
  if (reach.rows) {
    const length = Math.min(8, count, from.shape[3]);
    const each = Array.from({ length }, (_, i) => i);
    const [a, f] = [[each.map((i) => from.read(0, 0, i))], [each.map((i) => (other === "fine" ? w.read(0, i, x) : w.read(0, x, i)))]];
    return [line(`Σ over ${count} of ${from.name} × ${w.name}${bias} = `, own), product(a, f, [length < count ? `${from.name}, the first ${length}` : from.name, w.name], count - length, Boolean(bias), entry.read(c, y, x, k))];
  }
  const [down, across] = [taps(entry.side, 0, y), taps(entry.side, 1, x)];
  const a = down.map(([, v]) => across.map(([, u]) => from.read(channel[other], v, u)));
  const f = down.map(([i]) => across.map(([j]) => w.read(inGroup(), i, j, channel.coarse)));
  const what = other === "fine" ? "channel" : "filter";
  return [
    line(`Σ over ${count} ${what}s of ${from.name} × ${w.name}${bias} = `, own),
    a.flat().length ? product(a, f, [`${from.name}, ${what} ${channel[other]}`, w.name], count - 1, Boolean(bias), entry.read(c, y, x, k), what) : make("p", {}, "No window covers it."),
  ];
}

function met(side, c, y, x) {
  const [down, across] = [taps(side, 0, y), taps(side, 1, x)];
  const [n, m] = [down.length, across.length];
  if (side === "fine" && reach.pool) {
    const won = down.some(([i, v]) => across.some(([j, u]) => wins(c, i, j, v, u)));
    return `${n * m} of the windows of ${value(reach.coarse).name}${reach.won ? (won ? ": it wins" : ": it loses") : ""}`;
  }
  return side === "fine" ? `it serves ${n} × ${m} pixels of each map of ${value(reach.coarse).name}` : `its window is ${n} × ${m} pixels of ${value(reach.fine).name}`;
}

// Whether place i, j of a window holds its largest number
const wins = (c, i, j, v, u) => Boolean(reach.won) && entryOf((reach.places ??= { maps: reach.won }), "").read(c, v, u) === i * reach.kernel[1] + j;

function pooled(entry, from, own, line, c, y, x) {
  const [down, across] = [taps(entry.side, 0, y), taps(entry.side, 1, x)];
  const a = down.map(([, v]) => across.map(([, u]) => from.read(c, v, u)));
  const marks = down.map(([i, v]) => across.map(([j, u]) => (entry.side === "coarse" ? wins(c, i, j, y, x) : wins(c, i, j, v, u))));
  const size = reach.kernel[0] * reach.kernel[1];
  if (entry.side === "coarse") return [make("div", { class: "line" }, line(`the ${reach.won ? "largest" : "mean"} of`), grid(a, [from.name], marks), make("p", {}, " = ", own))];
  const said = reach.won ? (marks.flat().some(Boolean) ? "it won, so it gets all of the gradient" : "it lost, so it gets nothing") : `each of ${size} gets its share`;
  return [make("div", { class: "line" }, line(reach.won ? "the gradient goes to the winner only:" : `1/${size} of`), grid(a, [from.name], marks), make("p", {}, " → ", own, `: ${said}`))];
}

// The products that are shown, their sum, and what the rest of the whole sum is
function product(a, f, [one, other], more, bias, whole, what = "product") {
  const products = a.map((row, i) => row.map((number, j) => number * f[i][j]));
  const most = Math.max(...products.flat().map(Math.abs));
  const unit = most > 0 ? 10 ** (Math.floor(Math.log10(most)) - 2) : 1; // as exact as four digits allow
  const short = (number) => Number((Math.round(number / unit) * unit).toPrecision(3));
  const total = products.flat().reduce((sum, number) => sum + number, 0);
  const [shown, sum] = [products.map((row) => row.map(short)), ["products, sum ", make("b", {}, text(short(total)))]];
  const parts = reach.rows ? [grid([a[0], f[0], shown[0]], "", null, [[one], [other], sum])] : [grid(a, [one]), "×", grid(f, [other]), "=", grid(shown, sum)];
  const rest = [more ? `the other ${more > 1 ? `${more} ${what}s` : what}` : "", bias ? "the bias" : ""].filter(Boolean).join(" and ");
  if (rest) parts.push(make("p", {}, `${text(short(total))} here, and ${text(Number((whole - total).toPrecision(3)))} from ${rest}.`));
  return make("div", { class: "line", tabindex: 0, role: "group", "aria-label": "Products" }, ...parts);
}

function grid(rows, caption, marks, heads) {
  const cells = (row, i) => row.map((number, j) => make("td", marks?.[i][j] ? { class: "won" } : {}, text(number)));
  return make("table", { class: "grid" }, make("caption", {}, ...caption), make("tbody", {}, ...rows.map((row, i) => make("tr", {}, heads ? make("th", { scope: "row" }, ...heads[i]) : null, ...cells(row, i)))));
}

// A block for each row of the last axis; what is too long for the card is wrapped, its columns kept
function numbers(texts, type) {
  const last = Number(type.slice(1, type.indexOf(")")).split(",").filter(Boolean).at(-1) || 1);
  const longest = Math.max(...texts.map((text) => text.length));
  const table = make("div", { class: "numbers", tabindex: 0, role: "group", "aria-label": "all elements" });
  for (let i = 0; i < texts.length; i += last) {
    const row = texts.slice(i, i + last).map((text) => text.padStart(longest).replaceAll(" ", "\u00a0"));
    table.append(make("div", {}, ...apart(row)));
  }
  return table;
}

const apart = (texts) => texts.flatMap((text) => [make("code", {}, text), " "]);

function statistics(look) {
  const terms = ["min", "mean", "rms", "max", "zeros"];
  return make("dl", {}, ...terms.map((term, i) => make("div", {}, make("dt", {}, term), make("dd", {}, look.statistics[i]))));
}

function histogram(look, name) {
  const bars = look.bars.map((height, i) => `M${8 * i} 40v-${(height * 0.4).toFixed(1)}h7v${(height * 0.4).toFixed(1)}z`).join("");
  const drawing = make("svg", { viewBox: "0 0 256 41", class: "histogram", role: "img", "aria-label": `histogram of ${name}, from ${look.statistics[0]} to ${look.statistics[3]}` });
  drawing.append(make("path", { d: bars }));
  return drawing;
}
