"use strict";
// Steps through what the page's JSON says. Text enters as text.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let DATA; // all there is
let facts; // of the moment of training that is shown
let at = -1; // the step that is shown
let [remembering, remembered] = [0, 0]; // a timer, and when the address was changed
const quiz = { on: false, open: false, from: 0, seen: new Set(), right: 0, skipped: 0 };

// Elements

function make(tag, attributes = {}, ...children) {
  const element = /^(svg|path|image|text)$/.test(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const fill = (element, ...children) => element.replaceChildren(...children.filter((child) => child !== null));
const op = (step) => facts.ops[step.op];
const value = (id) => facts.values[id] || facts.rows[id];
const gradientOf = (id) => "g_" + value(id).name;

// One step

function show(number, quiet) {
  const steps = facts.steps;
  moved?.back();
  at = Math.max(0, Math.min(steps.length - 1, number));
  const step = steps[at];
  const open = pictures.findIndex(({ rows, closed }) => !closed.includes(rows[step.op]));
  if (open > shown) fold(open - shown);
  $("slider").value = at;
  $("slider").style.setProperty("--at", (100 * at) / Math.max(1, steps.length - 1) + "%");
  for (const way of ["begin", "forward", "loss", "backward", "end", "failed"]) document.body.classList.toggle(way, way === step.kind);
  // not `disabled`: a button that has the focus would take the keys with it
  $("back").setAttribute("aria-disabled", at === 0);
  $("next").setAttribute("aria-disabled", at === steps.length - 1 && due() < 0);
  fill($("sentence"), step.say);
  fill($("goal"), ...(step.goal || []).map((text) => make("p", {}, text)), step.warn ? make("p", { class: "worth" }, step.warn) : null);
  fill($("code"), ...code(step));
  fill($("term"), step.term || "");
  fill($("formulas")); // those of the step before keep no place
  $("formulas").style.minHeight = "";
  fill($("tensors"), ...tensors(step));
  update(step);
  lesson();
  tested(step);
  ask(due());
  if (quiet) return;
  remember();
  const { top } = $("where").getBoundingClientRect();
  if (top < 0 || top > innerHeight) $("where").scrollIntoView();
  if (innerWidth <= 760) $("step").scrollTop = 0;
}

function place(number) {
  const [forward, back] = [lossStep - 1, facts.steps.length - lossStep - 2];
  return { begin: "start", forward: `forward ${number} of ${forward}`, loss: "the loss", backward: `backward ${number - lossStep} of ${back}`, end: "the update", failed: "the error" }[facts.steps[number].kind];
}

// Where we are; a question hides what it asks for
function locate(asks) {
  const step = facts.steps[at];
  const called = asks ? `Question ${quiz.seen.size + quiz.open} of ${facts.quiz.filter((q) => q.step >= quiz.from).length}` : step.ask;
  fill($("where"), called);
  const lines = facts.steps.some(({ round }) => round) ? [place(at), step.round || "\u00a0"] : [place(at)]; // nothing moves
  fill($("position"), ...lines.map((line) => make("span", { title: line }, line)));
  $("slider").setAttribute("aria-valuetext", `${place(at)}: ${called}`);
  document.body.classList.toggle("asking", Boolean(asks));
  document.body.classList.remove("replied");
  $("view").inert = Boolean(asks); // names and tooltips tell numbers
  $("quiz").setAttribute("aria-pressed", String(quiz.on));
  $("quiz").textContent = quiz.seen.size ? `quiz ${quiz.right}/${quiz.seen.size}` : "quiz";
  picture(at, asks ? at - 1 : at);
}

function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(() => { // browsers refuse more than some hundred changes in half a minute
    remembered = Date.now();
    if (parent === window) history.replaceState(null, "", "#step=" + at);
    else parent.postMessage({ step: at }, "*"); // a sandboxed frame has no history: the page around it may remember
  }, remembered + 350 - Date.now());
}

// The chain rule with its numbers, and a trial of it: again when another number is selected

function lesson() {
  const step = facts.steps[at];
  moved?.back();
  const sections = formulasOf(step).map(formula);
  fill($("formulas"), ...sections, way() ? reason() : null);
  const long = [...$("formulas").querySelectorAll(".line")].some((line) => line.textContent.length > 43);
  $("formulas").classList.toggle("several", sections.length > 1 || long);
}

const REASON = "Selected at first: the number with the largest part in the change of the loss. Click another in the arrays, or go there with the arrow keys.";
const reason = () => (facts.scalar || !scene.length ? null : make("small", {}, REASON));

function formula({ lines, note, check, plot }) {
  const texts = lines.map((text) => make("span", { class: "line" }, ...terms(text), "\n"));
  const tried = check && make("div", { class: "try" }, make("p", {}, make("b", {}, "Check. "), check), plot ? drawn(plot, plot.base, true) : null);
  return make("section", {}, make("pre", {}, ...texts), note ? make("small", {}, note) : null, tried || null);
}

// A line may be broken before a sign, and nowhere else if it need not
const terms = (text) => text.split(/ (?=[=←+−] )|(?<=:) /).flatMap((term, k) => [k ? " " : "", make("span", {}, term)]);

// The loss at some places, its tangent, and a handle that snaps to the places; if it `moves` a number, until the next step
function drawn({ caption, axis, ends, curve, rise, base, places, says, numbers }, start, moves, tell) {
  const x = (k) => 12 + (276 * k) / (curve.length - 1);
  const y = (height) => 110 - height / 10;
  const path = (name, heights, dots) => make("path", { class: name, d: heights.map((height, k) => (height === null ? "" : `${dots || (heights[k - 1] ?? null) === null ? "M" : "L"}${x(k)} ${y(height)}h0`)).join("") });
  const line = curve.map((_, k) => (rise === undefined ? null : curve[base] + rise * (k - base)));
  const [gap, handle] = ["gap", "handle"].map((name) => make("path", { class: name }));
  const paths = [path("tangent", line), path("curve", curve), path("dots", curve, true), gap, handle];
  const range = make("input", { type: "range", min: 0, max: curve.length - 1, "aria-label": caption });
  const words = make("p", {});
  const choose = () => {
    const k = Number(range.value);
    const there = y(Math.max(0, Math.min(1000, curve[k] ?? 0)));
    gap.setAttribute("d", line[k] === null || curve[k] === null ? "" : `M${x(k)} ${there}V${y(line[k])}h0`);
    handle.setAttribute("d", `M${x(k)} ${there}h0`);
    range.setAttribute("aria-valuetext", `${places[k]}: ${says[k]}`);
    fill(words, make("b", {}, places[k]), ": ", says[k], moves && k !== base && facts.scalar ? " In the picture the gradients are still those of the start." : "");
    tell?.(k);
    if (!moves) return;
    if (moved?.range !== range) moved?.back();
    follow(k === base ? null : { range, back, k, numbers: numbers || {} });
  };
  const back = () => choose((range.value = start));
  range.value = start;
  range.addEventListener("input", choose);
  range.addEventListener("pointerup", () => range.blur()); // the keys are for the steps
  range.addEventListener("pointercancel", back); // the finger scrolls
  choose();
  const [low, high] = ends.map((end) => make("small", {}, end));
  const drawing = make("div", { class: "drawing" }, make("svg", { viewBox: "0 0 300 120", "aria-hidden": true }, ...paths), range, high, low);
  const below = make("small", {}, ...axis.map((end) => make("span", {}, four(end))));
  return make("div", { class: "plot" }, make("div", {}, drawing, below), make("div", {}, words, make("small", {}, caption)));
}

// While a number is moved, those of the picture follow
let moved = null;
function follow(now) {
  if (!now && !moved) return;
  moved = now;
  document.body.classList.toggle("moved", Boolean(now && facts.scalar));
  if (facts.scalar) picture(at);
}

function update(step) {
  const box = $("update");
  if (step.kind !== "end" || !facts.update) return fill(box);
  const { start, more } = facts.update;
  const texts = make("pre", { role: "status" });
  const tell = (k) => fill(texts, ...updateOf(facts.update).lines[k].flat().map((text, k) => make("span", { class: "line" }, k % 2 ? "    " : "", ...terms(text), "\n")));
  const choice = make("div", { class: "try" }, drawn(updateOf(facts.update).plot, start, false, tell));
  fill(box, make("section", { "aria-label": "Update" }, texts, more ? make("small", {}, `and ${more} more array${more > 1 ? "s" : ""}`) : null, choice, reason(), taken()));
}

// The next of the moments that were written with the page
function taken() {
  const [k, last] = [DATA.frames.indexOf(facts), DATA.frames.length - 1];
  if (!last) return null;
  const words = DATA.stepped ? `take a step of the training, lr = ${four(facts.update.rates[facts.update.start])}` : `go to the moment ${DATA.frames[Math.min(k + 1, last)].label}`;
  const button = make("button", { type: "button", class: "more", id: "take" }, words);
  button.setAttribute("aria-disabled", k === last);
  button.addEventListener("click", () => k < last && moment(k + 1));
  return make("p", {}, button, make("small", {}, ` ${DATA.stepped ? `${k} of ${last} are taken` : `Moment ${k + 1} of ${last + 1}`}; they were computed when the page was written.`));
}

// Your line; on the way back the derived line beside it

function code(step) {
  const o = op(step);
  const yours = step.source || (o ? [o] : facts.ops.slice(-1)).map(({ source }) => source);
  const wrote = yours.map((lines) => make("section", { "aria-label": "Your code" }, make("h3", {}, `you wrote, ${lines.at}`), source(lines)));
  if (step.kind !== "backward") return wrote;
  const renamed = [...o.inputs, o.output].filter((id) => value(id).code !== value(id).name).map((id) => `${value(id).name} is ${value(id).code}`);
  const head = make("h3", {}, `${o.own ? "your rule of" : "derived: the rule of"} ${o.name}` + (renamed.length ? `, where ${renamed.join(", ")}` : ""));
  const lines = o.rules.flatMap((text) => text.split("\n")).map((text) => make("span", { class: "line" }, make("mark", {}, text), "\n"));
  return [...wrote, make("section", { "aria-label": "Derived line" }, head, make("pre", { class: "rule" }, ...lines))];
}

function source({ lines }) {
  if (!lines.length) return make("p", {}, "The code of this line is not in this page.");
  return make("pre", { class: "source" }, ...lines.map(([number, before, marked, after]) => {
    const text = make("span", {}, before || (marked ? "" : " "), marked ? make("mark", {}, marked) : null, after);
    return make("span", { class: "line" }, make("small", {}, String(number)), text, "\n");
  }));
}

// Is the rule right? The reader says so first of a rule of one's own; then its remark is shown

function tested(step) {
  const { test, own } = step.kind === "backward" ? op(step) : {};
  const asks = step.kind === "backward" && unjudged(step.op);
  $("trial").hidden = step.kind !== "backward";
  $(own ? "goal" : "update").after($("code")); // a rule of one's own and its check come first
  $(own ? "code" : "arrays").after($("trial"));
  $("code").dataset.in = $("trial").dataset.in = own ? "step" : "code";
  $("trial").open ||= asks;
  $("untried").hidden = Boolean(test);
  $("accuse").hidden = !asks;
  $("tried").hidden = !test || asks;
  if (!test) return;
  const guess = judged.get(step.op);
  const wrongly = [...judged].filter(([k, accused]) => accused === facts.ops[k].test.good).length;
  $("judgement").textContent = guess === undefined ? "" : `You ${guess ? "accused it" : "trusted it"}, ${guess === test.good ? "wrongly" : "rightly"}: ${judged.size - wrongly} of the ${judged.size} judged rightly; ${facts.ops.filter((_, k) => unjudged(k)).length} to come.`;
  fill($("compared"), ...test.rows.map(([element, differences, rule, near]) =>
    make("tr", {}, make("th", { scope: "row" }, element), make("td", {}, differences), make("td", { class: near ? "" : "far" }, rule))));
  $("verdict").className = test.good ? "good" : "bad";
  const says = test.good ? "They agree: the rule is right here." : "They do not agree: the rule is wrong.";
  fill($("verdict"), test.rows.length ? says : "Nothing to compare: only kinks.", ...(op(step).remarks || []).map((text) => make("pre", {}, text)));
}

// Quiz: a question about a step before it is shown

const due = () => facts.quiz.findIndex(({ step }, i) => quiz.on && step === at && step >= quiz.from && !quiz.seen.has(i));

function ask(number) {
  const [asks, box] = [facts.quiz[number], $("ask")];
  box.hidden = !asks;
  quiz.open = Boolean(asks);
  locate(asks);
  const next = quiz.on && !asks && facts.quiz.find(({ step }) => step > at);
  if (next) $("goal").prepend(make("p", { id: "told" }, `Quiz: walk on with next. The next question is asked at ${place(next.step)}.`));
  if (!asks) return;
  fill($("sentence"), asks.text);
  const answers = [...asks.answers].sort(([a], [b]) => (a < b ? -1 : 1)); // the right one was the first
  fill(box, ...answers.map((answer) => {
    const button = make("button", { type: "button" }, answer[0]);
    button.addEventListener("click", () => reply(number, button));
    return Object.assign(button, { answer });
  }));
  box.focus({ preventScroll: true }); // the next Tab reaches an answer
}

// Without a button: skipped
function reply(number, chosen) {
  if (!quiz.open) return;
  const { text, answers: [right] } = facts.quiz[number];
  const [answer, why] = chosen?.answer || [];
  quiz.open = false;
  quiz.seen.add(number);
  quiz.right += answer === right[0];
  quiz.skipped += !chosen;
  for (const button of $("ask").querySelectorAll("button")) {
    button.disabled = true;
    if (button.answer === right) button.className = "good";
    else if (button === chosen) button.className = "bad";
  }
  const told = chosen ? ["You chose “", answer, "”. ", why, " "] : ["Skipped. "];
  const said = answer === right[0] ? ["Yes: ", answer, "."] : [...told, "Right: ", right[0], "."];
  quiz.on = facts.quiz.some(({ step }, i) => step >= at && !quiz.seen.has(i));
  locate(facts.quiz[due()]); // hidden until the last question about this step
  fill($("sentence"), text, " ", make("b", {}, ...said), `${quiz.on ? " So far" : " The quiz is over:"} ${quiz.right} of ${quiz.seen.size - quiz.skipped} right${quiz.skipped ? `, ${quiz.skipped} skipped` : ""}.`);
  $("told")?.remove();
  $("goal").prepend(make("p", { id: "told" }, facts.steps[at].say));
  $("next").setAttribute("aria-disabled", at === facts.steps.length - 1 && due() < 0);
  $("next").focus();
  document.body.classList.add("replied"); // what is said stays above the step
  $("step").scrollTop = 0;
}

// Starts at the step that is shown, or stops; if no question is left there, at the first step
function quizzed() {
  const from = facts.quiz.some(({ step }) => step >= at) ? at : 0;
  Object.assign(quiz, { on: !quiz.on, seen: new Set(), right: 0, skipped: 0, from });
  show(quiz.on ? from : at);
}

// The network: a picture at some depths

let pictures = [];
let shown = 0; // which of them: the first is closed, and a step opens what it is in
const moments = { n: [], r: [] }; // operation -> its step, forward and backward
let lossStep = 0;
// The groups of a drawing are its frames and wires, then its boxes, in the order of the lists in DATA.
function read({ boxes, wires, rows, closed, result }, k) {
  const svg = $("picture").children[k];
  svg.style.setProperty("--natural", svg.viewBox.baseVal.width + "px");
  const groups = [...svg.querySelectorAll(":scope > g")];
  const first = { n: {}, r: {} }; // row -> the first step of its operations
  for (const way of "nr") moments[way].forEach((step, i) => (first[way][rows[i]] = Math.min(step, first[way][rows[i]] ?? Infinity)));
  const moment = (id) => {
    if (["failed", "error"].includes(id)) return facts.steps.length - 1;
    if (id === result || id === "g_" + result) return lossStep;
    const [, way, number] = /^([nr])(\d+)$/.exec(id) || /^(g_).*_n(\d+)_\d+$/.exec(id) || [];
    if (way) return first[way === "g_" ? "r" : way][number] ?? facts.steps.length;
    return !id.startsWith("g_") ? 0 : value(id.slice(2)) ? complete(id.slice(2), true) : facts.steps.length - 1;
  };
  const loss = facts.summary.split(" ").at(-1);
  const telling = [...svg.querySelectorAll("g:has(> .loss) > text")].filter((text) => text.textContent.endsWith(" " + loss));
  for (const frame of groups.filter((group) => group.querySelector(".frame"))) frame.addEventListener("click", () => fold(-1));
  const wired = groups.slice(groups.findIndex((group) => group.querySelector("path.wire")));
  const own = boxes.map(([id, x, y], i) => {
    const group = groups[groups.length - boxes.length + i];
    const from = moment(id);
    group.classList.add("box");
    group.classList.toggle("end", id === result || id === "g_" + result);
    group.addEventListener("click", () => show(from));
    const [, back, leaf] = /^(g_)?(t\d+)/.exec(id) || [];
    const scalar = value(leaf)?.[back ? "gradient" : "array"]?.number && id !== result;
    return { id, x, y, from, group, leaf: scalar && leaf, back, beside: group.querySelector("tspan") };
  });
  const shapes = {};
  return {
    svg, rows, closed, boxes: own, telling: telling.map((text) => [text, text.textContent.slice(0, -loss.length)]),
    wires: wires.map(([tail, head, labelled], i) => {
      const wire = { tail, head, from: moment(tail), group: wired[i] };
      const [label, shape] = labelled ? wired[i].querySelectorAll("text") : [];
      if (label) Object.assign(wire, { id: labelled, back: !/^n/.test(tail), label, words: label.textContent, chip: make("image", { class: "chip", hidden: "", width: 18, height: 18, preserveAspectRatio: "none" }) });
      label?.after(wire.chip);
      shapes[labelled] ??= shape;
      wire.shape = shapes[labelled];
      return wire;
    }),
  };
}

// The step that completes a value or a gradient
const complete = (id, back) => (!back ? 0 : value(id).parts ? moments.r[value(id).parts.at(-1)[0]] : lossStep);

const numberOf = (id, back) => (!back && movedTo(id)) || value(id)?.[back ? "gradient" : "array"]?.number;
const movedTo = (id) => moved?.numbers[id] && four(moved.numbers[id][moved.k] ?? NaN);

// What is known is written on the edge: a number, or an image of the array
function carry({ id, back, label, shape, words, chip, from }, number) {
  const known = number >= from && number >= complete(id, back);
  const text = known && numberOf(id, back);
  const image = known && !text && chipOf(value(id)?.[back ? "gradient" : "array"], back);
  label.textContent = text ? (back ? `${words} = ${text}` : text) : words;
  label.classList.toggle("number", Boolean(text));
  chip.toggleAttribute("hidden", !image);
  if (!image) return;
  const [x, y, beside] = [Number(shape.getAttribute("x")), Number(shape.getAttribute("y")), 3.41 * shape.textContent.length + 4];
  for (const [name, part] of Object.entries({ href: image, x: back ? x + beside : x - beside - 18, y: y - 13 })) chip.setAttribute(name, part);
}

// What is known before a question is that of the step before
function picture(number, known = number) {
  const step = facts.steps[number];
  const way = step.kind === "backward" ? "r" : "n";
  const loss = movedTo(facts.result) || facts.summary.split(" ").at(-1);
  $("summary").textContent = facts.summary.replace(/\S+$/, loss);
  const { boxes, wires, rows, telling } = pictures[shown];
  const { round } = facts.steps[moments.n[rows.indexOf(rows[step.op])]] || {};
  $("drawn").textContent = step.round === round || !round ? "" : `The picture draws ${round} for all that are alike.`;
  for (const [text, words] of telling) text.textContent = words + loss;
  const now = step.op < 0 ? "" : way + rows[step.op];
  if (step.op < 0) scroll(Number(step.kind === "end"), 0); // the parameters, or their gradients
  for (const { id, x, y, from, group, leaf, back, beside } of boxes) {
    const lit = id === now || (["loss", "failed"].includes(step.kind) && from === number);
    group.classList.toggle("now", lit);
    group.classList.toggle("later", from > number && !lit);
    if (leaf && beside) beside.textContent = known < complete(leaf, back) ? "" : `= ${numberOf(leaf, back)}`;
    if (lit) scroll(x, y);
  }
  for (const wire of wires) {
    const { tail, head, from, group } = wire;
    const lit = now !== "" && (tail === now || head === now);
    group.classList.toggle("lit", lit);
    if (wire.id) carry(wire, known);
    group.classList.toggle("later", from > number && !lit);
  }
}

function scroll(x, y) {
  const pane = $("picture");
  pane.scrollTo(x * pane.scrollWidth - pane.clientWidth / 2, y * pane.scrollHeight - pane.clientHeight / 2);
}

function fold(change) {
  shown = Math.max(0, Math.min(pictures.length - 1, shown + change));
  $("fold").setAttribute("aria-disabled", !shown);
  $("unfold").setAttribute("aria-disabled", shown >= pictures.length - 1);
  pictures.forEach(({ svg }, k) => svg.toggleAttribute("hidden", k !== shown));
  if (at >= 0) picture(at);
}

// Keys, buttons, sliders, links

const actions = {
  back: () => show(at - 1),
  next: () => {
    if (quiz.open) reply(due());
    else if (due() >= 0) ask(due());
    else show(at + 1);
  },
  quiz: quizzed,
  fold: () => fold(-1),
  unfold: () => fold(1),
};
const escape = () => (moved ? moved.back() : quiz.on ? quizzed() : document.activeElement.blur());
const KEYS = { ArrowRight: actions.next, ArrowLeft: actions.back, Home: () => show(0), End: () => show(facts.steps.length - 1), Escape: escape };

document.addEventListener("keydown", (event) => {
  const { target, key, ctrlKey, altKey, metaKey } = event;
  const native = key === "Escape" ? $("menu").matches(":popover-open") : target.closest("input");
  if (!KEYS[key] || ctrlKey || altKey || metaKey || native) return;
  event.preventDefault();
  KEYS[key]();
});

// On a phone, one part of the step at a time
function tab(name) {
  for (const button of $("tabs").children) {
    button.setAttribute("aria-pressed", String(button.textContent === name));
    document.body.classList.toggle(`on-${button.textContent}`, button.textContent === name);
  }
  for (const panel of document.querySelectorAll(`details[data-in="${name}"]`)) if (innerWidth <= 760 && panel.id !== "trial") panel.open = true;
}

const linked = () => Number(/\bstep=(\d+)$/.exec(location.hash)?.[1] ?? Math.max(0, at));

function moment(k, step = at, quiet) {
  facts = DATA.frames[k];
  $("frame").value = k;
  $("moment").textContent = facts.label;
  $("frame").setAttribute("aria-valuetext", facts.label);
  show(step, quiet);
  if (!quiet) $("take")?.focus();
}

// In the live page an input can be drawn: the page around runs the program again, and sends its numbers
addEventListener("message", async ({ source, data }) => {
  if (source !== parent || parent === window) return;
  if (data.draws) paper.name = data.draws;
  if (data.facts) DATA = JSON.parse(await unpack(data.facts));
  facts = DATA?.frames[0];
  if (facts) show(at, true);
});

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

function begin(text) {
  DATA = JSON.parse(text);
  facts = DATA.frames[0];
  facts.steps.forEach((step, i) => step.op >= 0 && (moments[step.kind === "forward" ? "n" : "r"][step.op] = i));
  lossStep = facts.steps.findIndex((step) => ["loss", "failed"].includes(step.kind));
  pictures = DATA.pictures.map(read);
  $("picture").addEventListener("scroll", () => $("picture").classList.toggle("down", $("picture").scrollTop > 6)); // headings are whole, or out of sight
  $("picture").style.setProperty("--widest", Math.max(...pictures.map(({ svg }) => svg.viewBox.baseVal.width)) + "px");
  fill(document.querySelector("h1"), facts.name);
  $("arrays").open = !facts.scalar;
  document.body.classList.toggle("scalar", facts.scalar);
  for (const [id, action] of Object.entries(actions)) $(id).addEventListener("click", action);
  $("slider").max = facts.steps.length - 1;
  $("slider").style.setProperty("--loss", (100 * lossStep) / Math.max(1, facts.steps.length - 1) + "%");
  $("slider").addEventListener("input", () => show(Number($("slider").value)));
  $("frame").max = DATA.frames.length - 1;
  $("frames").hidden = DATA.frames.length < 2;
  document.body.classList.toggle("stepped", DATA.stepped);
  $("frame").addEventListener("pointerup", () => $("frame").blur()); // the keys are for the steps
  $("frame").addEventListener("input", () => moment(Number($("frame").value)));
  window.addEventListener("hashchange", () => show(linked()));
  $("accuse").querySelectorAll("button").forEach((button, accused) => button.addEventListener("click", () => {
    judged.set(facts.steps[at].op, accused === 1);
    show(at, true);
  }));
  for (const button of $("tabs").children) button.addEventListener("click", () => tab(button.textContent));
  document.body.classList.toggle("framed", parent !== window);
  if (parent !== window) new ResizeObserver(() => parent.postMessage({ height: document.body.offsetHeight }, "*")).observe(document.body);
  tab("step");
  fold(0);
  $("fold").hidden = $("unfold").hidden = pictures.length < 2;
  quiz.on = DATA.quiz;
  $("quiz").hidden = !facts.quiz.length;
  moment(0, linked(), true);
  document.body.classList.add("ready");
}

unpack($("facts").textContent).then(begin, () => fill($("sentence"), "This page is packed, and this browser cannot unpack it: it has no DecompressionStream."));
