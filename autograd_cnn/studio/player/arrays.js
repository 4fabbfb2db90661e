// Arrays: of item 0 and its first channels there are numbers of four digits, and each of them can be pointed at

let scene = []; // the maps of this step
let spot = null; // the element that is pointed at: { entry, c, y, x, step }
let reach = null; // how the output of this step's operation depends on its inputs: see geometry.py
const channel = { item: 0, row: 0, fine: 0, coarse: 0, tap: [0, 0], place: [0, 0] }; // pointed at last: an item, a row of a matrix, a channel of each side, a place in the filter, and a place of it
let places = null; // at a filter's gradient: see `overPlaces`
const found = make("div", { id: "found", role: "status" });
const walker = make("input", { type: "range", id: "walker", min: 0, "aria-label": "Place" });
const sumOf = make("div", { id: "sum" }, found, walker);
walker.addEventListener("input", () => {
  channel.place = places.where(Number(walker.value));
  tell();
});

function tensors(step) {
  const before = spot?.step === step.kind + step.op ? spot : null; // at another moment of the training the place stays
  [scene, spot, reach] = [[], null, (step.op >= 0 && op(step).reach) || null];
  sumOf.remove();
  fill($("image"), facts.image ? make("img", { src: facts.image, alt: `picture ${facts.label}` }) : null);
  document.body.classList.toggle("images", Boolean(reach?.kernel));
  fill($("paper"), ...papers());
  const figures = figuresOf(step);
  scaleBars();
  if (!scene.length) return figures.filter((figure) => figure !== sumOf);
  sumOf.dataset.in = figures.includes(sumOf) ? "numbers" : "step";
  if (!figures.includes(sumOf)) $("formulas").before(sumOf);
  const same = before && scene.find((entry) => entry.name === before.entry.name);
  const first = same || scene.find(({ id }) => id in chosen) || (reach?.rows && scene.find(({ id }) => id === op(step).output)) || scene.find((entry) => entry.result) || scene.find(({ id }) => step.kind === "forward" && id === op(step).output) || scene.find(({ id }) => value(id).example !== undefined && selected(id).d >= 0) || scene.at(-1);
  const example = ({ id }) => Math.max(0, selected(id).d);
  for (const side of same || !reach?.kernel ? [] : ["fine", "coarse", "w"]) {
    const entry = scene.find((entry) => entry.id === reach[side]);
    const [c, y, x, k] = entry ? inMap(entry, example(entry)) : [];
    if (entry) Object.assign(channel, side === "w" ? { fine: outGroup(c, k), coarse: k, tap: [y, x] } : { [side]: c, place: [y, x] });
  }
  const [c, y, x, k] = same ? [before.c, before.y, before.x] : inMap(first, example(first));
  if (!same && !first.items && first.shape[0] > 1) channel.coarse = k;
  point(first, c, y, first.lists ? Math.min(item(), first.shape[3] - 1) : x, true);
  return figures;
}

const inMap = ({ shape: [, count, tall, wide] }, d) => [Math.floor(d / (tall * wide)) % count, Math.floor(d / wide) % tall, d % wide, Math.floor(d / (count * tall * wide))]; // and filter

// In the live page: the input that can be drawn, and what the network makes of it, above every step
const paper = { name: "", number: 0 }; // of the input, and of the stroke
function papers() {
  const made = new Set(facts.ops.map((o) => o.output));
  const those = (test) => Object.keys(facts.values).filter((id) => paper.name && test(value(id), made.has(id)));
  return [...tagged("draw here", those((v) => v.name === paper.name)), ...tagged("answer", those((v, result) => result && v.axes?.at(-1) === "class"))];
}

// A stroke is as dark or as light as the image; it turns round the pixel where it begins
function paint(entry, begins, y, x) {
  const [, count, tall, wide] = entry.shape;
  if (!(y >= 0 && y < tall && x >= 0 && x < wide)) return;
  const [low, high] = [Math.min(...entry.numbers), Math.max(...entry.numbers)];
  if (begins) paper.number = entry.read(0, y, x) > (low + high) / 2 ? low : high;
  for (let c = 0; c < count; c++) entry.numbers[(c * tall + y) * wide + x] = paper.number;
  entry.look.tiles = {};
  draw(entry);
  parent.postMessage({ pixels: [[y, x, paper.number]] }, "*");
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
  if (step.kind === "forward") return [...tagged("in", o.inputs.filter((id) => id !== b)), ...tagged("out", [o.output]), ...tagged("in", o.inputs.filter((id) => id === b))];
  const whole = o.learns.filter((id) => complete(id, true) <= at); // of others the formula has the shares until now
  const of = (ids, weights) => ids.filter((id) => (id === w) === weights); // of weights the gradient comes first
  return [
    ...tagged("comes in", [o.output], "g"),
    ...tagged("went in", pool || gate ? o.inputs.filter((id) => !o.used.includes(id)) : []),
    ...tagged("is used", of(o.used, false)), // by the lines of the rule
    ...tagged("goes out", of(whole, true), "g"),
    ...tagged("is used", of(o.used, true)),
    ...tagged("goes out", of(whole, false), "g"),
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
const headed = (heading, id) => (["activation", "loss"].includes(value(id).role) ? heading : `${heading} · ${value(id).role}`);

function few(ids, draw) {
  const cards = ids.slice(0, 24).map(draw);
  const [more, rest] = [cards.splice(6), ids.length - 24];
  if (more.length) cards.push(make("details", { class: "row" }, make("summary", {}, `${more.length} more${rest > 0 ? `, and ${rest} that are not shown` : ""}`), make("div", { class: "cards" }, ...more)));
  return cards;
}

function row(heading, ...cards) {
  return make("section", { class: "row", "aria-label": heading }, make("h3", {}, heading), make("div", { class: "cards" }, ...cards));
}

const signed = (text, ...figures) => make("div", { class: "part" }, make("b", { class: "sign" }, text), ...figures); // wrapped as one

function card(id, gradient) {
  const v = value(id);
  return gradient ? figure(v.gradient, gradientOf(id), "gradient", id) : figure(v.array, v.name, v.role, id);
}

function figure(look, name, role, id) {
  const { shape, dtype, full } = value(id);
  const caption = make("figcaption", { title: full }, make("b", {}, name), " ", make("span", { title: dtype }, shape.length ? `(${shape})` : ""));
  const card = make("figure", { class: role }, caption);
  if (!look) card.append(make("p", {}, "not at hand"));
  else if (look.size === 1) card.append(numbers(look.elements, shape));
  else {
    const told = make("details", look.size <= 16 ? { open: "" } : {}, make("summary", {}, "numbers"));
    if (look.maps) card.append(...maps({ ...entryOf(look, name), id, gradient: role === "gradient" }));
    told.append(look.size <= look.elements.length ? numbers(look.elements, shape) : make("small", {}, "begins ", ...spaced(look.elements.slice(0, 4))));
    card.append(...(look.maps ? [told] : [...told.children].slice(1)));
  }
  if (look?.bad) card.append(make("p", { class: "bad" }, `${look.bad} not finite`));
  return card;
}

// The numbers of an array, as maps[k][c][y][x]; a number outside a map is 0, as padding is
function entryOf(look, name) {
  const { shape, words, index, step, colour } = look.maps;
  const [filters, count, tall, wide] = shape;
  look.numbers ??= Array.from(look.maps.numbers, (number) => number ?? NaN);
  const read = (c, y, x, k = 0) => (c < 0 || c >= count || k >= filters ? NaN : y < 0 || x < 0 || y >= tall || x >= wide ? 0 : look.numbers[((k * count + c) * tall + y) * wide + x]);
  const place = (c, y, x, k = 0) => index.split(", ").map((axis) => ({ k, c, y: y * step, x: x * step })[axis] ?? Number(axis));
  const label = (...at) => `${name}[${place(...at).join(", ")}]`;
  const at = (d) => place(...inMap(look.maps, d));
  const find = (place) => { // what `at` makes of an index; -1 if it is not drawn
    const there = { k: 0, c: 0, y: 0, x: 0 };
    const inside = index.split(", ").every((axis, i) => (axis in there ? Number.isInteger((there[axis] = place[i] / (/[yx]/.test(axis) ? step : 1))) : place[i] === Number(axis)));
    const { k, c, y, x } = there;
    return inside && k < filters && c < count && y < tall && x < wide ? ((k * count + c) * tall + y) * wide + x : -1;
  };
  return { look, name, shape, words, step, colour, read, place, label, at, find, numbers: look.numbers, items: index === "k, x", fixed: index.startsWith("0") };
}

// The place of an element in words, as `told` in trials.py
const inWords = (id, place) => place.map((k, i) => onAxis(value(id).axes[i], k)).join(", ");
const onAxis = (axis, k) => (axis === "colour" ? ["red", "green", "blue"][k] : axis === "class" && DATA.classes[k] ? `class ${k} (${DATA.classes[k]})` : `${axis} ${k}`);

function maps(entry) {
  const { id, name, numbers, gradient } = entry;
  const axes = value(id).axes || ["item"];
  entry.words = entry.words.replace(/^item/, axes[0]);
  const names = axes.at(-1) === "class" ? DATA.classes : [];
  const [filters, count, tall, wide] = entry.shape;
  const bars = count * tall === 1 && (filters === 1 || entry.items);
  entry.lists = bars && !entry.items && !entry.fixed && Boolean(value(id).axes) && ITEM.includes(axes[0]); // a number of each item
  const [low, high] = ends(numbers, gradient).map(four);
  if (!bars) entry.words += `${entry.words && ", "}${low === high ? `all ${low}` : gradient ? `blue ${low}, orange ${high}` : `black ${low}, white ${high}`}`;
  const out = spotted().output;
  const ids = (side) => (side === "each" && reach.each ? [out, ...reach.each] : [reach[side]]);
  entry.side = (entry.step === 1 && reach && ["each", "fine", "coarse", "w"].find((side) => ids(side).includes(id))) || "";
  entry.result = Boolean(entry.side) && (way() ? gradient && id !== out && value(id).parts?.length === 1 : id === out);
  if (entry.side === "each" && reach.gate) entry.cut = drawnOf(out)?.numbers.map((number) => number === 0);
  if (entry.cut) entry.words += `, yellow: ${spotted().name} cuts it`;
  const key = (entry.key = make("small", { class: "key" }));
  const help = { tabindex: 0, role: "application" };
  if (bars) {
    const alike = wide > 2 && !entry.lists && numbers.every((number) => number === numbers[0]); // sixteen rows of 0 are one
    entry.rows = numbers.slice(0, alike ? 1 : wide).map((_, x) => {
      const label = alike ? `${wide < value(id).shape.at(-1) ? "these" : "all"} ${wide}` : names[x] || String(x);
      return Object.assign(make("div", {}, make("small", {}, label), make("span", {}, make("i")), make("code")), { x });
    });
    entry.pane = make("div", { class: names.length || alike ? "bars named" : "bars", ...help }, ...entry.rows);
  } else {
    entry.columns = Math.ceil(Math.sqrt(count + entry.colour));
    const scale = Math.max(1, Math.floor(312 / (entry.columns * Math.max(tall, wide)))); // crisp, and as large as a card
    entry.scale = [tall, wide].map((n) => Math.max(scale, Math.floor(80 / (entry.columns * n)))); // a narrow matrix is stretched
    const [h, w] = [tall * entry.scale[0] + GAP, wide * entry.scale[1] + GAP].map((n, axis) => n * (axis ? entry.columns : Math.ceil((count + entry.colour) / entry.columns)));
    entry.pane = make("canvas", { width: w - GAP, height: h - GAP, class: tall * wide < 50 ? "kernel" : "", ...help });
  }
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
  for (const kind of ["pointermove", "pointerdown"]) entry.pane.addEventListener(kind, (event) => {
    if (kind === "pointerdown" || event.pointerType === "mouse") go(...locate(event));
    if (event.buttons && !bars && entry.pane.closest("#paper")) paint(entry, kind === "pointerdown", ...locate(event).slice(1));
  });
  entry.pane.addEventListener("mousedown", (event) => event.preventDefault()); // after the mouse, the arrow keys step
  entry.pane.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] || [0, 0];
    if ((!dx && !dy) || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // the page's own arrows step
    if (spot.entry !== entry) return go(entry.colour, 0, 0);
    if (entry.items) channel.item = Math.max(0, Math.min(filters - 1, item() + dx));
    const [c, y, x] = [spot.c + entry.colour, spot.y + dy, spot.x + (entry.items ? dy : bars ? dx + dy : dx)];
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
const doubtful = () => way() && spotted().own && !spotted().test?.good; // the user's rule may be any
const text = (number) => (Number.isFinite(number) ? (number && (Math.abs(number) < 1e-4 || Math.abs(number) >= 1e6) ? number.toExponential() : String(number)).replaceAll("-", "−") : "not finite");

// The bars of a step have one scale, and those of probabilities and targets another, from 0 to 1
function scaleBars() {
  const shares = ({ numbers, gradient }) => !gradient && numbers.every((number) => number >= 0 && number <= 1);
  const kinds = Map.groupBy(scene.filter((entry) => entry.rows), (entry) => (shares(entry) ? "share" : entry.gradient));
  for (const [kind, entries] of kinds) {
    const all = entries.flatMap(({ numbers }) => numbers).filter(Number.isFinite);
    const most = kind === "share" ? 1 : Math.max(...all.map(Math.abs), 0) || 1; // all may be 0
    const unit = 10 ** Math.floor(Math.log10(most));
    const [end, signs] = [unit * [1, 2, 5, 10].find((k) => k * unit >= most), all.some((number) => number < 0)];
    for (const entry of entries) {
      entry.words += `${entry.words && ", "}bars from ${signs ? four(-end) : 0} to ${four(end)}`;
      Object.assign(entry, { end, signs });
    }
  }
}

const ITEM = ["item", "image"];
const item = () => (scene.some(({ fixed }) => fixed) ? 0 : channel.item); // where images are drawn, they are of item 0
const filterOf = ({ shape: [filters], items }) => Math.min(filters - 1, items ? item() : channel.coarse); // of weights, one filter is drawn

// An item of some bars
function drawRows({ rows, numbers, shape, end, signs, cut }, lit, k) {
  rows.forEach((row, x) => {
    const d = k * shape[3] + x;
    const number = numbers[d];
    const [, bar, told] = row.children;
    row.className = `${lit.some(([, , left, , wide]) => rows.length < shape[3] || (x >= left && x < left + wide)) ? "lit" : ""} ${cut?.[d] ? "cut" : ""}`;
    bar.className = signs ? "signed" : "";
    bar.firstChild.className = number < 0 ? "negative" : "";
    bar.firstChild.style.width = `${((signs ? 50 : 100) * Math.abs(number || 0)) / end}%`;
    told.textContent = text(number);
  });
}

function draw(entry) {
  const [lit, k] = [lights(entry), filterOf(entry)];
  entry.key.textContent = entry.words.replace("{k}", k);
  entry.pane.setAttribute("aria-label", `${[entry.name, entry.key.textContent].filter(Boolean).join(": ")}. Arrow keys point at another element.`);
  if (entry.rows) return drawRows(entry, lit, k);
  const { pane, scale: [down, across], columns, colour } = entry;
  const [, count, tall, wide] = entry.shape;
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

// The numbers of the darkest and the lightest level, or of full blue and vermilion
function ends(numbers, gradient) {
  const [low, high] = numbers.filter(Number.isFinite).reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);
  return gradient ? [-Math.max(-low, high), Math.max(-low, high)] : [low, high];
}

// A map as an image of its pixels, made once; c is -1 for all three channels as colours
function tile({ look, shape: [, count, tall, wide], read, gradient, cut }, k, c) {
  return ((look.tiles ??= {})[[k, c, Boolean(cut)]] ??= (() => {
    const [low, high] = ends(look.numbers, gradient);
    const image = new ImageData(wide, tall);
    const level = (channel, y, x) => (255 * (read(channel, y, x, k) - low)) / (high - low || 1);
    for (let i = 0; i < wide * tall; i++) {
      const [y, x] = [Math.floor(i / wide), i % wide];
      const v = read(Math.max(0, c), y, x, k);
      const deep = gradient && Math.abs(v / (high || 1)) ** 0.7;
      const colours = cut?.[(k * count + c) * wide * tall + i] ? YELLOW : gradient ? (v < 0 ? BLUE : VERMILION).map((part) => 255 - deep * (255 - part)) : c < 0 ? [0, 1, 2].map((part) => level(part, y, x)) : Array(3).fill(level(c, y, x));
      image.data.set([...colours.map(Math.round), Number.isNaN(v) ? 0 : 255], 4 * i);
    }
    const canvas = make("canvas", { width: wide, height: tall });
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  })());
}
const [BLUE, VERMILION, YELLOW] = [[0, 90, 160], [213, 94, 0], [240, 214, 120]];

function point(entry, c, y, x, begins) {
  const step = facts.steps[at];
  const moves = !begins || entry.id in chosen; // else all are the examples, which Python chose to fit
  const stays = (id) => begins && way() && spotted().learns.includes(id) && value(id).parts[0][0] !== step.op; // an earlier step began to add its shares
  spot = { entry, c, y, x, step: step.kind + step.op };
  const place = entry.place(c, y, x, filterOf(entry));
  const { rows, group, pool } = reach || {};
  const meet = [spotted().output, ...(reach?.each || [])]; // one element of these is selected
  const alike = meet.includes(entry.id) ? meet : [entry.id];
  if ((rows ? entry.side !== "w" : alike[1]) && place.length > 1) [channel.item, channel.row] = [place[0], place.at(-2)];
  if (entry.lists) channel.item = x;
  if (entry.side === "w") [channel.fine, channel.coarse, channel.tap] = rows ? matrix(...place) : [outGroup(c, channel.coarse), channel.coarse, [y, x]];
  else channel[entry.side] = rows ? place.at(-1) : c;
  if (pool) channel.fine = channel.coarse = c;
  else if (group && !rows && entry.side && entry.side !== "w") { // channels see those of their group only
    const [own, other] = entry.side === "fine" ? ["fine", "coarse"] : ["coarse", "fine"];
    const [mine, theirs] = own === "fine" ? group : [group[1], group[0]];
    if (Math.floor(channel[own] / mine) !== Math.floor(channel[other] / theirs)) channel[other] = theirs * Math.floor(channel[own] / mine);
  }
  for (const id of alike) if (moves && !stays(id)) choose(id, mapped(id)?.find(place));
  places = overPlaces();
  if (places && !begins) choose(places.w.id, places.w.find(places.w.place(inGroup(), ...channel.tap, channel.coarse))); // a pixel of either side selects it
  if (places && entry.side !== "w") channel.place = [y, x].map((n, axis) => (entry.side === "coarse" ? n : Math.max(0, Math.min(places.far[axis] - 1, Math.round((n - seen([0, 0], channel.tap)[axis]) / reach.stride[axis])))));
  if (moves) scene.filter(({ id }) => !stays(id)).forEach(select);
  if (moves && reach?.b && reach.coarse === spotted().output) choose(reach.b, mapped(reach.b)?.find([selected(reach.w).place.at(reach.left ? 0 : -1)]));
  tell();
  $("update").querySelector("input")?.dispatchEvent(new Event("input"));
  if (!$("formulas").childElementCount) return;
  $("formulas").style.minHeight = `${$("formulas").offsetHeight}px`; // nothing moves under the pointer
  lesson();
}

const choose = (id, d) => d >= 0 && d !== selected(id).d && (chosen[id] = d);

// A number that has a formula lies where its array lights up, and is of the same item
function select(of) {
  const [lit = of.items && [0, 0, 0, 1, of.shape[3]]] = lights(of);
  if (!lit || !(of.items || of.lists || (way() && spotted().learns.includes(of.id)))) return;
  const d = Math.max(0, of.find(selected(of.id).place));
  const [y, x] = inMap(of, d).slice(1, 3).map((n, i) => Math.min(Math.max(n, lit[1 + i], 0), lit[1 + i] + lit[3 + i] - 1, of.shape[2 + i] - 1));
  choose(of.id, of.find(of.place(lit[0], y, x, filterOf(of))));
}

function tell() {
  walker.hidden = !places;
  const { w, far, terms } = places || {};
  if (places) Object.assign(walker, { max: terms.length - 1, value: channel.place[0] * far[1] + channel.place[1] });
  scene.forEach(draw);
  const [{ id }, place] = places ? [w, w.place(inGroup(), ...channel.tap, channel.coarse)] : [spot.entry, spot.entry.place(spot.c, spot.y, spot.x, filterOf(spot.entry))];
  fill(found, value(id).axes ? make("h3", {}, inWords(id, place)) : null, ...computed());
  sumOf.classList.toggle("said", Boolean((spot.entry.result || spot.entry.rows) && !found.querySelector("table"))); // by the formula
}

// The gradient of a filter is a sum over places: at each, a patch of the fine side times a number of the coarse side

const seen = (place, tap) => [0, 1].map((axis) => place[axis] * reach.stride[axis] - reach.pad[axis] + tap[axis] * reach.dilation[axis]);
const isUsed = (entry) => entry.gradient === (way() && entry.id === spotted().output);

function overPlaces() {
  const w = way() && reach?.kernel && !doubtful() && scene.find((entry) => entry.side === "w" && entry.gradient);
  const [a, g] = ["fine", "coarse"].map((side) => w && drawnOf(reach[side], reach[side] === spotted().output));
  if (!a || !g || !spot.entry.side || (spot.entry.side !== "w" && !isUsed(spot.entry))) return null;
  const far = g.shape.slice(2);
  const where = (i) => [Math.floor(i / far[1]), i % far[1]];
  const terms = Array.from({ length: far[0] * far[1] }, (_, i) => g.read(channel.coarse, ...where(i)) * a.read(channel.fine, ...seen(where(i), channel.tap)));
  return { w, a, g, far, where, terms };
}

// Along an axis, from a pixel of one side: [place in the filter, place on the other side]
function taps(side, axis, place) {
  const [k, s, p, d] = [reach.kernel, reach.stride, reach.pad, reach.dilation].map((pair) => pair[axis]);
  const size = entrySide("coarse")?.shape[2 + axis] ?? Infinity;
  const all = Array.from({ length: k }, (_, i) => [i, side === "coarse" ? place * s - p + i * d : (place + p - i * d) / s]);
  return side === "coarse" ? all : all.filter(([, there]) => Number.isInteger(there) && there >= 0 && there < size).reverse();
}
const entrySide = (side) => scene.find((entry) => entry.side === side);
const matrix = (fine, coarse) => (reach.left ? [coarse, fine] : [fine, coarse]); // row and column of the weights; and back
const outGroup = (c, k) => c + reach.group[0] * Math.floor(k / reach.group[1]);
const inGroup = () => channel.fine - (reach.group ? reach.group[0] * Math.floor(channel.coarse / reach.group[1]) : 0);

// What lights up: rectangles [channel, y, x, height, width, in all channels]
function lights(of) {
  const { entry, c, y, x } = spot;
  if (places) return lightsOfPlace(of);
  const [, , tall, wide] = of.shape;
  if (!reach && of.rows && facts.steps[at].formulas) return [of.lists ? [0, 0, item(), 1, 1] : [0, 0, 0, 1, wide]]; // of a loss, an item
  if (of === entry) return [[c, y, x, 1, 1]];
  if (!of.side || !entry.side) return [];
  if (of.side === entry.side) return [of.find(entry.place(c, y, x, filterOf(entry)))].filter((d) => d >= 0).map((d) => [...inMap(of, d).slice(0, 3), 1, 1]);
  if (reach.rows) {
    if (of.side !== "w") return of.lists ? [[0, 0, item(), 1, 1]] : [[0, of.rows ? 0 : channel.row, ...(entry.side === "w" ? [channel[of.side], 1, 1] : [0, 1, wide])]];
    const [row] = matrix(entry.side === "fine", entry.side === "coarse");
    const n = channel[entry.side];
    return [row ? (of.rows ? [0, 0, n, 1, 1] : [0, n, 0, 1, wide]) : of.rows ? [0, 0, 0, 1, wide] : [0, 0, n, tall, 1]];
  }
  const tile = of.side === "w" ? inGroup() : channel[of.side];
  const spans = [y, x].map((place, axis) => taps(entry.side, axis, place).map((pair) => pair[of.side === "w" ? 0 : 1]));
  if (spans.some((span) => !span.length)) return [];
  const ends = spans.map((span) => [Math.min(...span), Math.max(...span)]);
  return [[tile, ends[0][0], ends[1][0], ends[0][1] - ends[0][0] + 1, ends[1][1] - ends[1][0] + 1, Boolean(reach.w) && of.side !== "w"]];
}

function lightsOfPlace(of) {
  const { tap, place, fine, coarse } = channel;
  if (of.side === "w") return [[inGroup(), ...tap, 1, 1]];
  if (!of.side || !isUsed(of)) return [];
  if (of.side === "coarse") return [[coarse, ...place, 1, 1]];
  const [high, broad] = reach.kernel.map((n, axis) => (n - 1) * reach.dilation[axis] + 1);
  return [[fine, ...seen(place, [0, 0]), high, broad], [fine, ...seen(place, tap), 1, 1]];
}

// The element that is pointed at, computed from those that light up

function drawnOf(id, gradient) {
  const look = id && (gradient ? value(id).gradient : value(id).array);
  return look?.maps?.step === 1 ? { ...entryOf(look, gradient ? gradientOf(id) : value(id).name), id } : null;
}

function atPlace() {
  const { w, a, g, terms } = places;
  const { tap, place, fine, coarse } = channel;
  const [own, c] = [text(w.read(inGroup(), ...tap, coarse)), g.read(coarse, ...place)];
  const [high, broad] = reach.kernel;
  const patch = Array.from({ length: high }, (_, i) => Array.from({ length: broad }, (_, j) => a.read(fine, ...seen(place, [i, j]))));
  const [items, item, many] = [value(g.id).shape[0], value(g.id).axes[0], counted(terms.length)];
  const until = (end) => text(Number(terms.slice(0, end).reduce((sum, term) => sum + term, 0).toPrecision(3)));
  const all = items > 1 ? `${until()}, the part of ${item} 0. With the other ${items > 2 ? `${items - 1} ${item}s` : item}: ` : "";
  const marks = patch.map((row, i) => row.map((_, j) => i === tap[0] && j === tap[1]));
  const sum = make("p", {}, make("b", {}, w.label(inGroup(), ...tap, coarse)), " = ", `Σ over ${counted(items * terms.length)} places ${items > 1 ? `(${items} ${item}s × ${many}) ` : ""}of ${a.name} × ${g.name} = `, make("b", {}, own));
  if (Number.isNaN(c + patch[0][0])) return [sum, make("p", {}, "The numbers of this channel are not in this page.")];
  const pixel = patch[tap[0]][tap[1]];
  const here = `${text(pixel)} × ${factor(c)} = ${text(Number((pixel * c).toPrecision(3)))}`;
  return [
    sum,
    product(patch, patch.map((row) => row.map(() => c)), [`${a.name}, under the filter`, `${g.name}, here`, "products"], { marks }),
    make("p", {}, `Row ${place[0]}, column ${place[1]} is one of ${many} places: ${here}.`),
    make("p", {}, `Added up to here: ${until(Number(walker.value) + 1)}. All ${many}: ${all}`, make("b", {}, own), ", this number of the filter's gradient."),
  ];
}

function computed() {
  if (places) return atPlace();
  const { entry, c, y, x } = spot;
  const [back, whole] = [way(), entry.read(c, y, x, filterOf(entry))];
  const own = make("b", {}, text(whole));
  const line = (...parts) => make("p", {}, make("b", {}, entry.label(c, y, x, filterOf(entry))), " = ", ...parts);
  if (!entry.result || doubtful() || reach.each || entry.side === "w" || (reach.rows && back)) return [line(own)]; // the formula says it
  const [other, what] = entry.side === "fine" ? ["coarse", "filter"] : ["fine", "channel"];
  const [w, b, from] = [drawnOf(reach.w), drawnOf(reach.b), drawnOf(reach[other], back)];
  if (from && reach.pool) return pooled(entry, from, own, line, c, y, x);
  const count = reach.group?.[entry.side === "coarse" ? 0 : 1];
  if (!from || !w) return [line(own)];
  const added = b && !back ? b.read(0, 0, channel[entry.side]) : NaN;
  const bias = Number.isNaN(added) ? "" : ` ${added < 0 ? "−" : "+"} ${text(Math.abs(added))} (${b.name})`;
  const first = Math.min(8, count, from.shape[3]); // of a row
  const [down, across] = reach.rows ? [Array.from({ length: first }, (_, i) => [i, i]), [[0, 0]]] : [taps(entry.side, 0, y), taps(entry.side, 1, x)];
  const number = (of, place) => of.numbers[of.find(place)] ?? NaN;
  const a = down.map(([, v]) => across.map(([, u]) => (reach.rows ? number(from, [...entry.place(c, y, x, filterOf(entry)).slice(0, -1), v]) : from.read(channel[other], v, u))));
  const f = down.map(([i]) => across.map(([j]) => (reach.rows ? number(w, matrix(i, channel.coarse)) : w.read(inGroup(), i, j, channel.coarse))));
  if (reach.rows && [...a, ...f].flat().some(Number.isNaN)) return [line(own)]; // they are not all in this page
  const names = [reach.rows ? from.name + (first < count ? `, the first ${first}` : "") : `${from.name}, ${what} ${channel[other]}`, w.name + (other === "coarse" && f.flat()[1] ? ", turned" : "")];
  return [
    line(`Σ over ${count} ${reach.rows ? "product" : what}${count > 1 ? "s" : ""} of ${from.name} × ${w.name}${bias} = `, own),
    a.flat().length ? product(a, f, names, { more: count - (reach.rows ? first : 1), bias, whole, what: reach.rows ? "product" : what }) : make("p", {}, "No window covers it."),
  ];
}

// The numbers of each window that an element is of, or makes, with the largest; on the way back, what came to that one
function pooled(entry, from, own, line, c, y, x) {
  const [fine, back] = [drawnOf(reach.fine), entry.side === "fine"];
  const places = back ? taps("fine", 0, y).flatMap(([, v]) => taps("fine", 1, x).map(([, u]) => [v, u])) : [[y, x]];
  const windows = places.flatMap(([v, u]) => {
    const [down, across] = [v, u].map((place, axis) => taps("coarse", axis, place).map(([, there]) => there));
    const winner = reach.won && entryOf((reach.places ??= { maps: reach.won }), "").read(c, v, u);
    const marks = down.map((_, i) => across.map((_, j) => winner === i * reach.kernel[1] + j));
    const gets = !reach.won ? "gets its share of" : marks[down.indexOf(y)]?.[across.indexOf(x)] ? "is the largest: it gets" : "is not the largest: it gets nothing of";
    const table = grid(down.map((i) => across.map((j) => fine.read(c, i, j))), [`${fine.name}, its window`], marks);
    return [table, back ? make("p", {}, `${fine.label(c, y, x)} = ${text(fine.read(c, y, x))} ${gets} ${from.label(c, v, u)} = ${text(from.read(c, v, u))}`) : null];
  });
  const ends = back ? [[], []] : [[line(`the ${reach.won ? "largest" : "mean"} of`)], [make("p", {}, " = ", own)]];
  return fine ? [make("div", { class: "line" }, ...ends[0], ...windows, ...ends[1])] : [line(own)];
}

// The products that are shown, their sum, and what the rest of the whole sum is
function product(a, f, [one, other, all], { more, bias, whole, what, marks }) {
  const products = a.map((row, i) => row.map((number, j) => number * f[i][j]));
  const most = Math.max(...products.flat().map(Math.abs));
  const unit = most > 0 ? 10 ** (Math.floor(Math.log10(most)) - 2) : 1; // as exact as four digits allow
  const short = (number) => Number((Math.round(number / unit) * unit).toPrecision(3));
  const total = products.flat().reduce((sum, number) => sum + number, 0);
  const sum = all ? [all] : ["sum ", make("b", {}, text(short(total)))];
  const parts = [grid(a, [one], marks), signed("×", grid(marks ? [[f[0][0]]] : f, [other])), signed("=", grid(products.map((row) => row.map(short)), sum, marks))];
  const rest = `the other ${more > 1 ? `${more} ${what}s` : what}${bias ? " and the bias" : ""}`;
  if (more) parts.push(make("p", {}, `${text(short(total))} here, and ${text(Number((whole - total).toPrecision(3)))} from ${rest}.`));
  return make("div", { class: "line", tabindex: 0, role: "group", "aria-label": "Products" }, ...parts);
}

function grid(rows, caption, marks) {
  const cells = (row, i) => row.map((number, j) => make("td", marks?.[i][j] ? { class: "won" } : {}, text(number)));
  return make("table", { class: "grid" }, make("caption", {}, ...caption), make("tbody", {}, ...rows.map((row, i) => make("tr", {}, ...cells(row, i)))));
}

// A block for each row of the last axis; what is too long for the card is wrapped, its columns kept
function numbers(texts, shape) {
  const last = shape.at(-1) || 1;
  const longest = Math.max(...texts.map((text) => text.length));
  const table = make("div", { class: "numbers", tabindex: 0, role: "group", "aria-label": "all elements" });
  for (let i = 0; i < texts.length; i += last) {
    const row = texts.slice(i, i + last).map((text) => text.padStart(longest).replaceAll(" ", "\u00a0"));
    table.append(make("div", {}, ...spaced(row)));
  }
  return table;
}

const spaced = (texts) => texts.flatMap((text) => [make("code", {}, text), " "]);
