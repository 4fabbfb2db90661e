"use strict";
// Steps through what the page's JSON says. Every number and sentence was written in Python; text enters as text.

const DATA = JSON.parse(document.getElementById("facts").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let facts = DATA.frames[0];
let at = -1; // the step that is shown
let timer = 0;
const quiz = { on: false, open: -1, seen: new Set(), right: 0, asked: 0 };

// Elements

function make(tag, attributes = {}, ...children) {
  const element = tag === "svg" || tag === "path" || tag === "rect" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const fill = (element, ...children) => element.replaceChildren(...children.filter((child) => child !== null));
const op = (step) => facts.ops[step.op];
const value = (id) => facts.values[id];
const gradientOf = (id) => "g_" + value(id).name;

// One step

function show(number, quiet) {
  const steps = facts.steps;
  number = Math.max(0, Math.min(steps.length - 1, number));
  const asks = quiz.on && number === at + 1 && !quiz.seen.has(number) && question(number);
  at = number;
  const step = steps[at];
  $("slider").value = at;
  $("slider").setAttribute("aria-valuetext", `${at} of ${steps.length - 1}, ${title(step)}`);
  fill($("where"), title(step));
  for (const way of ["begin", "forward", "loss", "backward", "end"]) document.body.classList.toggle(way, way === step.kind);
  // not `disabled`: a button that has the focus would take the keys with it
  const idle = { first: at === 0, back: at === 0, last: at === steps.length - 1, next: at === steps.length - 1, twin: twin() < 0 };
  for (const [id, on] of Object.entries(idle)) $(id).setAttribute("aria-disabled", on);
  $("sentence").setAttribute("aria-live", timer ? "off" : "polite");
  fill($("sentence"), asks ? asks.text : step.say);
  fill($("doc"), step.kind === "forward" ? facts.docs[op(step).name] : "");
  fill($("code"), ...code(step));
  fill($("tensors"), ...tensors(step));
  trial(step);
  memory(step);
  picture(step);
  ask(asks);
  if (!quiet) {
    try {
      history.replaceState(null, "", "#step=" + at);
    } catch {
      // a sandboxed frame has no history of its own
    }
  }
}

function title(step) {
  if (step.op < 0) return { begin: "Start", loss: "Loss", end: "End" }[step.kind];
  const o = op(step);
  return step.kind === "forward" ? `${o.name} → ${value(o.out).name}` : `rule of ${o.name} → ${o.learns.map(gradientOf).join(", ")}`;
}

function twin() {
  const step = facts.steps[at];
  return step.op < 0 ? -1 : facts.steps.findIndex((s) => s.op === step.op && s !== step);
}

// Your line, beside it the derived line

function code(step) {
  if (step.kind === "loss") return [make("section", { "aria-label": "Derived line" }, make("h3", {}, "backward, derived"), make("pre", {}, line(facts.seed, true)))];
  if (step.op < 0) return [];
  const o = op(step);
  const back = step.kind === "backward";
  const rules = o.rules.map(([text, rms]) => line(text, back, rms && `rms ${rms}`));
  const numbers = back ? contributions(o).map((part) => part.numbers).filter(Boolean) : [];
  return [
    make("section", { "aria-label": "Your line" }, make("h3", {}, `you wrote, ${facts.places[o.place].at}`), source(o)),
    make(
      "section",
      { "aria-label": "Derived line" },
      make("h3", {}, "forward"),
      make("pre", {}, ...o.forward.split("\n").map((text) => line(text, !back))),
      make("h3", {}, "backward, derived"),
      rules.length ? make("pre", {}, ...rules) : make("p", {}, "no rule runs"),
      numbers.length ? make("h3", {}, "with the numbers in") : null,
      numbers.length ? make("pre", {}, ...numbers.map((text) => line(text, true))) : null,
    ),
  ];
}

function line(text, now, note) {
  const tag = now ? "mark" : "span";
  return make("span", { class: "line" }, make(tag, {}, text), note ? make("small", {}, note) : null, "\n");
}

function source(o) {
  const place = facts.places[o.place];
  const text = facts.functions[place.function];
  if (!text) return make("p", {}, "The source is not at hand.");
  const here = place.line - text.first;
  const from = Math.max(0, Math.min(here - 2, text.lines.length - 5));
  const lines = text.lines.slice(from, from + 5).map((words, i) => {
    const [before, marked, after] = from + i !== here ? [words || " ", "", ""] : place.marked || ["", words, ""];
    const parts = make("span", {}, before, marked ? make("mark", {}, marked) : null, after);
    return make("span", { class: "line" }, make("small", {}, String(text.first + from + i)), parts, "\n");
  });
  return make("pre", { class: "source" }, ...lines);
}

const contributions = (o) => o.learns.flatMap((id) => (value(id).parts || []).filter((part) => part.op === o.id));

// Arrays

function tensors(step) {
  const all = Object.keys(facts.values);
  const made = new Set(facts.ops.map((o) => o.out));
  const begun = all.filter((id) => !made.has(id));
  if (step.kind === "begin") return tagged("goes in", begun);
  if (step.kind === "loss") return [...tagged("result", [facts.result]), ...tagged("its gradient", [facts.result], "g")];
  if (step.kind === "end") {
    return few(begun.filter((id) => value(id).g), (id) => row(value(id).name, card(id), card(id, "g")));
  }
  const o = op(step);
  if (step.kind === "forward") return [...tagged("in", o.in), ...tagged("out", [o.out])];
  const words = new Set(o.rules.flatMap(([text]) => text.match(/[\p{L}\p{N}_]+/gu)));
  const uses = [...o.in, o.out].filter((id) => words.has(value(id).code || value(id).name));
  const several = o.learns.filter((id) => (value(id).parts || []).length > 1);
  const single = o.learns.filter((id) => !several.includes(id));
  return [
    ...tagged("comes in", [o.out], "g"),
    ...tagged("is used", uses),
    ...tagged("goes out", single, "g"),
    ...several.map((id) => sum(id, o)),
  ];
}

function tagged(heading, ids, gradient) {
  return few(ids, (id) => {
    const figure = card(id, gradient);
    figure.firstChild.prepend(make("h3", {}, heading));
    return figure;
  });
}

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
  const parts = value(id).parts || [];
  const cards = [];
  const last = parts.findLastIndex((part) => part.op === o.id);
  const first = Math.max(0, last - 5); // of many, those before are counted
  if (first) cards.push(make("b", { class: "sign" }, `${first} before`));
  parts.slice(first, last + 1).forEach((part, k) => {
    const i = first + k;
    const from = facts.ops[part.op.slice(1) - 1];
    if (i) cards.push(make("b", { class: "sign" }, "+"));
    const name = `contribution ${i + 1} of ${parts.length}, from ${from.name} → ${value(from.out).name}`;
    cards.push(figure(part.look, name, value(id).type, "gradient" + (part.op === o.id ? " fresh" : "")));
  });
  if (last + 1 < parts.length) {
    const more = parts.length - last - 1;
    cards.push(make("b", { class: "sign" }, `+ ${more} more to come`));
  } else {
    cards.push(make("b", { class: "sign" }, "="), card(id, "g"));
  }
  return row(`goes out: ${gradientOf(id)} is a sum`, ...cards);
}

function card(id, gradient) {
  const v = value(id);
  return figure(gradient ? v.g : v.v, gradient ? gradientOf(id) : v.name, v.type, gradient ? "gradient" : v.role, v.full);
}

function figure(look, name, type, role, full) {
  const caption = make("figcaption", {}, make("b", {}, name), " ", make("span", {}, type), role in ROLES ? make("small", {}, " " + role) : null);
  if (full) caption.title = full;
  const parts = [caption];
  if (!look) parts.push(make("p", {}, "not at hand"));
  else {
    if (look.i) {
      const [src, width, height, words] = look.i;
      parts.push(make("img", { src, width, height, alt: `${name}: ${words}` }), make("small", { class: "key" }, words));
    }
    if (look.h) parts.push(histogram(look, name));
    if (look.s) parts.push(statistics(look));
    if (look.n <= look.x.length) parts.push(numbers(look.x, type));
    else parts.push(make("p", { class: "begins" }, "begins ", make("code", {}, look.x.slice(0, 4).join(" "))));
    if (look.bad) parts.push(make("p", { class: "bad" }, `${look.bad} not finite`));
  }
  return make("figure", { class: role }, ...parts);
}

const ROLES = { input: 1, target: 1, parameter: 1, constant: 1 };

function numbers(texts, type) {
  const shape = type.match(/\d+/g) || [];
  const columns = type.startsWith("()") ? 1 : Math.min(8, Number(type.slice(1, type.indexOf(")")).split(",").filter(Boolean).at(-1) || shape[0]));
  const table = make("div", { class: "numbers", tabindex: 0, role: "group", "aria-label": "all elements" });
  for (let i = 0; i < texts.length; i += columns) table.append(make("code", {}, texts.slice(i, i + columns).join("  ")));
  return table;
}

function statistics(look) {
  const [low, mean, rms, high] = look.s;
  const terms = Object.entries({ min: low, mean, rms, max: high, zeros: look.z });
  return make("dl", {}, ...terms.map(([term, text]) => make("div", {}, make("dt", {}, term), make("dd", {}, text))));
}

function histogram(look, name) {
  const bars = look.h.map((height, i) => `M${8 * i} 40v-${(height * 0.4).toFixed(1)}h7v${(height * 0.4).toFixed(1)}z`).join("");
  const drawing = make("svg", { viewBox: "0 0 256 41", class: "histogram", role: "img", "aria-label": `histogram of ${name}, from ${look.s[0]} to ${look.s[3]}` });
  drawing.append(make("path", { d: bars }));
  return drawing;
}

// Is the rule right?

function trial(step) {
  const panel = $("trial");
  const tests = step.kind === "backward" ? op(step).trial : null;
  panel.hidden = step.kind !== "backward";
  const body = panel.lastElementChild;
  if (!tests) {
    fill(body, make("p", {}, "Not tried: too large, or its inputs are not floats that are at hand."));
    return;
  }
  const o = op(step);
  const choices = [{ text: "as written", what: "" }, ...tests.slips];
  const table = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rule and differences" });
  const options = choices.map((slip, i) => {
    const radio = make("input", { type: "radio", name: "slip", value: i, ...(i ? {} : { checked: "" }) });
    radio.addEventListener("change", () => fill(table, verdict(tests, slip)));
    return make("label", { class: "slip" }, radio, i ? make("code", {}, slip.text) : o.rules.length > 1 ? "the rules as written" : "the rule as written", i ? make("small", {}, slip.what) : null);
  });
  fill(table, verdict(tests, choices[0]));
  fill(body, make("fieldset", {}, make("legend", {}, "Rule"), ...options), table);
}

function verdict(tests, slip) {
  const broken = slip.rule !== undefined;
  const shown = broken ? [slip] : tests.tried;
  const rows = shown.flatMap((t) =>
    t.at.map((place, i) => {
      const says = t.rule[i];
      return make("tr", {}, make("th", { scope: "row" }, `g_${t.name}${place === "[]" ? "" : place}`), make("td", {}, t.fd[i]), make("td", { class: says === t.fd[i] ? "" : "far" }, says));
    }),
  );
  const good = !broken && shown.every((t) => t.ok);
  const words = good ? "They agree: the rule is right here." : broken ? `Wrong: ${slip.what}${slip.off === slip.what ? "" : `; at these elements ${slip.off}`}.` : "They do not agree: the rule is wrong.";
  const head = make("tr", {}, make("th", { scope: "col" }, "element"), make("th", { scope: "col" }, "finite differences"), make("th", { scope: "col" }, broken ? "broken rule" : "rule"));
  const box = make("div", {}, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)), make("p", { class: good ? "good" : "bad", role: "status" }, words));
  return box;
}

// Quiz

function question(number) {
  const step = facts.steps[number];
  if (step.op < 0) return null;
  const o = op(step);
  const others = (list, right) => [...new Set(list)].filter((text) => text !== right).slice(0, 3);
  let right, wrong, text;
  if (step.kind === "forward") {
    right = value(o.out).type.split(" ")[0];
    const shapes = [...o.in].reverse().concat(Object.keys(facts.values)).map((id) => value(id).type.split(" ")[0]);
    wrong = others(shapes, right);
    const given = o.in.map((id) => `${value(id).name} ${value(id).type.split(" ")[0]}`).join(", ");
    text = `Next: ${o.name} of ${given}. Which shape has ${value(o.out).name}?`;
  } else if (o.trial && o.trial.slips.length && number % 3) {
    const where = o.trial.slips[0].line;
    right = o.rules[where][0];
    wrong = others(o.trial.slips.filter((slip) => slip.line === where).map((slip) => slip.text), right);
    text = `Next: the rule of ${o.name}. Which line is right?`;
  } else {
    const last = facts.steps[number - 1].op;
    right = title(step);
    const near = [1, 2, 3, 4, -1, -2, -3].map((far) => facts.steps[number + far]);
    wrong = others(near.filter((s) => s && s.kind === "backward" && s.op !== last).map(title), right);
    text = "Which rule comes next on the way back?";
  }
  if (!wrong.length) return null;
  const options = [...wrong];
  options.splice((number * 7) % (wrong.length + 1), 0, right);
  return { text, options, right, number };
}

function ask(asks) {
  const box = $("ask");
  box.hidden = !asks;
  quiz.open = asks ? asks.number : -1;
  document.body.classList.toggle("asking", Boolean(asks));
  if (!asks) return;
  fill(box, ...asks.options.map((text, i) => {
    const button = make("button", { type: "button" }, make("kbd", {}, String(i + 1)), " ", make("code", {}, text));
    button.addEventListener("click", () => answer(asks, text, box));
    return button;
  }));
}

function answer(asks, text, box) {
  if (quiz.open !== asks.number) return;
  quiz.open = -1;
  quiz.seen.add(asks.number);
  quiz.asked += 1;
  quiz.right += text === asks.right;
  [...box.querySelectorAll("button")].forEach((button, i) => {
    button.disabled = true;
    if (asks.options[i] === asks.right) button.className = "good";
    else if (asks.options[i] === text) button.className = "bad";
  });
  const said = text === asks.right ? "Right." : `No: ${asks.right}.`;
  document.body.classList.remove("asking");
  fill($("sentence"), make("b", {}, `${said} ${quiz.right} of ${quiz.asked}. `), facts.steps[asks.number].say);
  $("next").focus();
}

// Memory and picture

function memory(step) {
  const [words, drawing] = $("memory").children;
  const wide = 1000 / facts.steps.length;
  if (!drawing.firstChild) {
    const peak = Math.max(1, facts.steps.reduce((most, s) => Math.max(most, s.held), 0));
    const shape = facts.steps.map((s, i) => `H${(wide * i).toFixed(1)}V${(40 - (38 * s.held) / peak).toFixed(1)}`).join("");
    drawing.append(make("path", { d: `M0 40${shape}H1000V40z` }), make("rect", { y: 0, width: Math.max(wide, 3).toFixed(1), height: 40 }));
  }
  words.textContent = `Kept for the way back: ${step.holds || "not known"}`;
  drawing.lastChild.setAttribute("x", (wide * at).toFixed(1));
}

// The picture's groups are its wires, then its boxes, in the order of the lists in DATA.
const groups = [...$("picture").querySelectorAll("svg > g")];
const labels = [...$("picture").querySelectorAll("svg > text.label")];
const moments = { n: [], r: [] }; // operation -> step, forward and backward
facts.steps.forEach((step, i) => step.op >= 0 && (moments[step.kind === "forward" ? "n" : "r"][op(step).id.slice(1)] = i));
const lossStep = facts.steps.findIndex((step) => step.kind === "loss");

function moment(id) {
  if (id === facts.result || id === "g_" + facts.result) return lossStep;
  const [, way, number] = /^([nr])(\d+)$/.exec(id) || /^(g_).*_n(\d+)_\d+$/.exec(id) || [];
  if (way) return moments[way === "g_" ? "r" : way][number] ?? facts.steps.length;
  return id.startsWith("g_") ? facts.steps.length - 1 : 0;
}

const boxes = (DATA.boxes || []).map(([id, y], i) => ({ id, y, from: moment(id), group: groups[groups.length - DATA.boxes.length + i] }));
const wires = (DATA.wires || []).map(([tail, head, labelled], i) => ({ tail, head, from: moment(tail), group: groups[i], label: labelled ? labels.shift() : null }));

function picture(step) {
  const now = step.op < 0 ? "" : (step.kind === "backward" ? "r" : "n") + op(step).id.slice(1);
  if (!at) scroll(0);
  for (const { id, y, from, group } of boxes) {
    const lit = id === now || (step.kind === "loss" && from === at);
    group.classList.toggle("now", lit);
    group.classList.toggle("later", from > at);
    if (lit) scroll(y);
  }
  for (const { tail, head, from, group, label } of wires) {
    const lit = now !== "" && (tail === now || head === now);
    group.classList.toggle("lit", lit);
    group.classList.toggle("later", from > at && !lit);
    label?.classList.toggle("later", from > at && !lit);
  }
}

function scroll(part) {
  const pane = $("picture");
  pane.scrollTop = part * pane.scrollHeight - pane.clientHeight / 2;
}

// All steps as a table: also what is printed

function table() {
  const box = $("all");
  if (box.querySelector("table")) return;
  const rows = facts.steps.map((step, i) => {
    const o = step.op < 0 ? null : op(step);
    const lines = !o ? [] : step.kind === "forward" ? [[o.forward, ""]] : o.rules;
    const link = make("a", { href: `#step=${i}` }, title(step));
    const tried = o && step.kind === "backward" && o.trial ? (o.trial.tried.every((t) => t.ok) ? "agree" : "do not agree") : "";
    return make("tr", {}, make("td", {}, String(i)), make("th", { scope: "row" }, link), make("td", {}, ...lines.map(([text]) => make("code", {}, text))), make("td", {}, ...lines.map(([, rms]) => make("code", {}, rms))), make("td", {}, step.holds || ""), make("td", {}, tried));
  });
  const heads = ["step", "what", "line", "rms", "kept", "differences"].map((text) => make("th", { scope: "col" }, text));
  const sheet = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  box.append(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "All steps" }, sheet));
}

// Keys, buttons, sliders, links

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (at < facts.steps.length - 1 ? show(at + 1) : play(false)), 1000) : 0;
  $("play").setAttribute("aria-pressed", String(Boolean(timer)));
}

const actions = {
  first: () => show(0),
  back: () => show(at - 1),
  next: () => show(quiz.open >= 0 ? (quiz.seen.add(at), at) : at + 1),
  last: () => show(facts.steps.length - 1),
  loss: () => show(lossStep),
  twin: () => twin() >= 0 && show(twin()),
  play: () => play(!timer),
  quiz: () => {
    quiz.on = !quiz.on;
    $("quiz").setAttribute("aria-pressed", String(quiz.on));
    show(at);
  },
};
const KEYS = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last", l: "loss", b: "twin", " ": "play", q: "quiz" };

for (const [id, action] of Object.entries(actions)) {
  $(id).addEventListener("click", () => {
    if (id !== "play") play(false);
    action();
  });
}

document.addEventListener("keydown", (event) => {
  const busy = event.target.closest("input") || (event.key === " " && event.target.closest("button, summary, a"));
  const letter = event.key.length === 1 && event.key !== " ";
  if (busy || event.ctrlKey || event.altKey || event.metaKey || (letter && !$("letters").checked)) return;
  const choice = $("ask").querySelectorAll("button")[Number(event.key) - 1];
  if (choice && quiz.open >= 0) choice.click();
  const action = KEYS[letter ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  if (action !== "play") play(false);
  actions[action]();
});

$("slider").max = facts.steps.length - 1;
$("slider").addEventListener("input", () => show(Number($("slider").value)));
$("frame").max = DATA.frames.length - 1;
$("frames").hidden = DATA.frames.length < 2;
$("moment").textContent = DATA.labels[0];
$("frame").addEventListener("input", () => {
  const k = Number($("frame").value);
  facts = DATA.frames[k];
  $("moment").textContent = DATA.labels[k];
  $("frame").setAttribute("aria-valuetext", DATA.labels[k]);
  $("all").querySelector(".scroll")?.remove();
  if ($("all").open) table();
  show(at);
});
boxes.forEach((box) => box.group.addEventListener("click", () => show(box.from)));
$("all").addEventListener("toggle", () => $("all").open && table());
window.addEventListener("beforeprint", () => {
  table();
  $("all").open = true;
});
const linked = () => Number((/^#step=(\d+)$/.exec(location.hash) || [0, at < 0 ? 0 : at])[1]);
window.addEventListener("hashchange", () => show(linked()));
$("picture").hidden = !boxes.length;
show(linked(), true);
document.body.classList.add("ready");
