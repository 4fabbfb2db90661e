"use strict";
// Steps through what the page's JSON says. Every number and sentence was written in Python; text enters as text.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let DATA; // all there is
let facts; // of the moment of training that is shown
let at = -1; // the step that is shown
let timer = 0;
let remembering = 0;
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
  for (const way of ["begin", "forward", "loss", "backward", "end"]) document.body.classList.toggle(way, way === step.kind);
  // not `disabled`: a button that has the focus would take the keys with it
  const [begins, ends] = [at === 0, at === steps.length - 1];
  const idle = { first: begins, back: begins, before: module(-1) === at, last: ends, next: ends, after: module(1) === at, twin: twin() < 0 };
  for (const [id, on] of Object.entries(idle)) $(id).setAttribute("aria-disabled", on);
  $("sentence").setAttribute("aria-live", timer ? "off" : "polite");
  fill($("sentence"), asks ? asks.text : step.say);
  fill($("doc"), step.kind === "forward" ? facts.docs[op(step).name] : "");
  reading();
  fill($("code"), ...code(step));
  fill($("tensors"), ...tensors(step));
  trial(step);
  memory(step);
  ask(asks);
  locate(asks);
  if (!quiet) remember();
}

// Where we are; while something is asked, where we were
function locate(asks) {
  const step = facts.steps[at];
  const called = asks ? "What comes next?" : title(step);
  fill($("where"), called);
  $("slider").setAttribute("aria-valuetext", `${at} of ${facts.steps.length - 1}, ${called}`);
  document.body.classList.toggle("asking", Boolean(asks));
  picture(asks ? at - 1 : at);
}

function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {  // once a key rests: browsers refuse some hundred changes in half a minute
    const depth = shown === usual() ? "" : "&depth=" + pictures[shown].depth;
    try {
      history.replaceState(null, "", "#step=" + at + (lens ? "&overlay=" + lens : "") + depth);
    } catch {
      // a sandboxed frame has no history of its own
    }
  }, 200);
}

function title(step) {
  if (step.op < 0) return { begin: "Start", loss: "Loss", end: "End" }[step.kind];
  const o = op(step);
  return step.kind === "forward" ? `${o.name} → ${value(o.out).name}` : `rule of ${o.name} → ${o.learns.map(gradientOf).join(", ")}`;
}

function twin() {
  const step = facts.steps[at];
  return step.op < 0 ? -1 : (step.kind === "forward" ? moments.r : moments.n)[step.op] ?? -1;
}

// The first step on or back of another module; one that is drawn closed is a row
function module(way) {
  if (!facts.ops.some((o) => o.scope)) return at;
  const rows = $("rows").hidden ? pictures[shown].rows : [];
  const joined = (a, b) => a.kind === b.kind && a.op >= 0 && (op(a).scope === op(b).scope || (rows[a.op] ?? -1) === rows[b.op]);
  const end = way > 0 ? facts.steps.length - 1 : 0;
  let i = at;
  while (i !== end) if (!joined(facts.steps[i], facts.steps[(i += way)])) break;
  return i;
}

// Your line, beside it the derived line

function code(step) {
  if (step.kind === "loss") return [make("section", { "aria-label": "Derived line" }, make("h3", {}, "backward, derived"), make("pre", {}, line(facts.seed, "back", true)))];
  if (step.op < 0) return [];
  const o = op(step);
  const back = step.kind === "backward";
  const rules = o.rules.map(([text, rms]) => line(text, "back", back, rms && `rms ${rms}`));
  const numbers = back ? contributions(o).map((part) => part.numbers).filter(Boolean) : [];
  return [
    make("section", { "aria-label": "Your line" }, make("h3", {}, `you wrote, ${facts.places[o.place].at}`), source(o)),
    make(
      "section",
      { "aria-label": "Derived line" },
      make("h3", {}, "forward"),
      make("pre", {}, ...o.forward.split("\n").map((text) => line(text, "", !back))),
      make("h3", {}, "backward, derived"),
      rules.length ? make("pre", {}, ...rules) : make("p", {}, "no rule runs"),
      numbers.length ? make("h3", {}, "with the numbers in") : null,
      numbers.length ? make("pre", {}, ...numbers.map((text) => line(text, "back", true))) : null,
    ),
  ];
}

function line(text, way, now, note) {
  const tag = now ? "mark" : "span";
  return make("span", { class: `line ${way}` }, make(tag, {}, text), " ", note ? make("small", {}, note) : null, "\n");
}

function source(o) {
  const place = facts.places[o.place];
  const text = facts.functions[place.function];
  if (!text) return make("p", {}, "The code of this line is not in this page.");
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
    radio.addEventListener("click", () => radio.matches(":focus-visible") || radio.blur()); // after the mouse, arrows step
    return make("label", { class: "slip" }, radio, i ? make("code", {}, slip.text) : o.rules.length > 1 ? "the rules as written" : "the rule as written", i ? make("small", {}, slip.what) : null);
  });
  fill(table, verdict(tests, choices[0]));
  fill(body, make("fieldset", {}, make("legend", {}, "Rule"), ...options), table);
}

function verdict(tests, slip) {
  const broken = slip.rule !== undefined;
  const o = op(facts.steps[at]);
  const shared = o.learns.filter((id) => value(id).parts?.some((part) => part.op !== o.id)).map((id) => value(id).code || value(id).name);
  const shown = broken ? [slip] : tests.tried;
  const rows = shown.flatMap((t) =>
    t.at.map((place, i) => {
      const says = t.rule[i];
      return make("tr", {}, make("th", { scope: "row" }, `g_${t.name}${place === "[]" ? "" : place}${shared.includes(t.name) ? ", this rule's part" : ""}`), make("td", {}, t.fd[i]), make("td", { class: says === t.fd[i] ? "" : "far" }, says));
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
  const begun = o.learns.find((id) => value(id).parts?.length > 1 && value(id).parts[0].op === o.id); // a sum, asked of once
  const needs = (ids, byproducts = []) => [...ids.map((id) => value(id).name), ...byproducts].join(" and ") || "nothing else";
  if (step.kind === "forward") {
    right = value(o.out).type.split(" ")[0];
    const shape = (id) => value(id).type.split(" ")[0];
    if (o.in.some((id) => shape(id) === right)) return null; // the question would tell it
    wrong = others([...o.in].reverse().concat(Object.keys(facts.values)).map(shape), right);
    const given = o.in.map((id) => `${value(id).name} ${shape(id)}`).join(", ");
    text = `Next: ${o.name} of ${given}. Which shape does the result of ${o.name} have?`;
  } else if (step.kind === "backward" && begun) {
    const count = value(begun).parts.length;
    right = String(count);
    wrong = [count - 1, count + 1, count + 2].map(String);
    text = `Next: the rule of ${o.name}. ${gradientOf(begun)} is a sum of how many contributions?`;
  } else if (number % 3 === 1) {
    const byproducts = o.forward.split(" = ")[0].split(", ").slice(1).filter((name) => words(o).has(name));
    right = needs(used(o), byproducts);
    wrong = others([o.in, [o.out], [], [...o.in, o.out], o.in.slice(0, 1)].map((ids) => needs(ids)), right);
    text = `Next: the rule of ${o.name}. What does it need beside ${gradientOf(o.out)}?`;
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
  if (!asks) return;
  fill(box, ...asks.options.map((text, i) => {
    const button = make("button", { type: "button" }, make("kbd", {}, "abcd"[i]), " ", make("code", {}, text));
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
  locate();
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
    drawing.append(make("path", { d: `M0 40${shape}H1000V40z` }), make("path", { class: "peak", d: "M0 2H1000" }), make("rect", { y: 0, width: Math.max(wide, 3).toFixed(1), height: 40 }));
  }
  words.textContent = `Kept for the way back, after this step: ${step.holds || "not known"}`;
  drawing.lastChild.setAttribute("x", (wide * at).toFixed(1));
}

// The network: a picture at some depths, and all operations as rows

let pictures = [];
let shown = 0; // which of them
let lens = ""; // the overlay
const moments = { n: [], r: [] }; // operation -> its step, forward and backward
let lossStep = 0;
let listed = null; // the rows, once they are wanted: [forward, backward], each a button
const usual = () => Math.max(0, DATA.usual);
const cells = () => ($("rows").hidden ? pictures[shown].cells : listed.filter(([there]) => !there.parentNode.hidden));

// The groups of a drawing are its frames and wires, then its boxes, in the order of the lists in DATA.
function read({ depth, boxes, wires, rows, result }, k) {
  const svg = $("picture").children[k];
  const groups = [...svg.querySelectorAll(":scope > g")];
  const labels = [...svg.querySelectorAll(":scope > text.label")];
  const first = { n: {}, r: {} }; // row -> the first step of its operations
  for (const way of "nr") moments[way].forEach((step, i) => (first[way][rows[i]] = Math.min(step, first[way][rows[i]] ?? Infinity)));
  const moment = (id) => {
    if (id === result || id === "g_" + result) return lossStep;
    const [, way, number] = /^([nr])(\d+)$/.exec(id) || /^(g_).*_n(\d+)_\d+$/.exec(id) || [];
    if (way) return first[way === "g_" ? "r" : way][number] ?? facts.steps.length;
    return id.startsWith("g_") ? facts.steps.length - 1 : 0;
  };
  const wired = groups.slice(groups.findIndex((group) => group.querySelector("path.wire")));
  const own = boxes.map(([id, x, y], i) => {
    const group = groups[groups.length - boxes.length + i];
    const [shape, text] = [group.querySelector(".shape"), group.querySelectorAll("text")];
    const from = moment(id);
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", -1);
    group.setAttribute("aria-label", [...text].map((t) => t.textContent).join(", "));
    group.addEventListener("click", () => show(from));
    return { id, x, y, from, group, shape, below: text[1], words: text[1]?.textContent, bar: null };
  });
  const by = Object.fromEntries(own.map((box) => [box.id, box.group]));
  const pairs = own.filter(({ id }) => /^n\d+$/.test(id)).map(({ id }) => [by[id], by["r" + id.slice(1)]]);
  return {
    depth, svg, rows, boxes: own, cells: pairs,
    wires: wires.map(([tail, head, labelled], i) => ({ tail, head, from: moment(tail), to: moment(head), group: wired[i], label: labelled ? labels.shift() : null })),
  };
}

function picture(number) {
  const step = facts.steps[number];
  const way = step.kind === "backward" ? "r" : "n";
  if (!$("rows").hidden) return mark(number);
  const { boxes, wires, rows } = pictures[shown];
  const now = step.op < 0 ? "" : way + rows[step.op];
  if (!number) scroll(0, 0);
  for (const { id, x, y, from, group } of boxes) {
    const lit = id === now || (step.kind === "loss" && from === number);
    group.classList.toggle("now", lit);
    group.classList.toggle("later", from > number && !lit);
    group.setAttribute("tabindex", lit ? 0 : -1);
    if (lit) scroll(x, y);
  }
  for (const { tail, head, from, to, group, label } of wires) {
    const lit = now !== "" && (tail === now || head === now);
    group.classList.toggle("lit", lit);
    for (const part of label ? [group, label] : [group]) {
      part.classList.toggle("later", from > number && !lit);
      part.classList.toggle("ahead", to > number); // a rung says what a rule will need
    }
  }
}

function scroll(x, y) {
  const pane = $("picture");
  pane.scrollLeft = x * pane.scrollWidth - pane.clientWidth / 2;
  pane.scrollTop = y * pane.scrollHeight - pane.clientHeight / 2;
}

let marked = [];
function mark(number) {
  const step = facts.steps[number];
  for (const cell of marked) {
    cell.classList.remove("now", "twin");
    cell.tabIndex = -1;
  }
  marked = step.op < 0 ? [listed[step.kind === "begin" ? 0 : listed.length - 1]?.[0]].filter(Boolean) : listed[step.op].filter(Boolean);
  for (const cell of marked) {
    const now = step.op >= 0 && cell.step === number;
    cell.classList.add(now ? "now" : step.op < 0 ? "near" : "twin");
    if (now || step.op < 0) cell.tabIndex = 0;
  }
  if (marked.length) {
    const pane = $("rows");
    const below = (element) => element.getBoundingClientRect().top - pane.getBoundingClientRect().top - pane.clientHeight / 2;
    if (Math.abs(below(marked[0])) < pane.clientHeight / 3) return; // the list stands still while it can
    pane.scrollTop += below(marked[0].closest("ol")); // so that its part is laid out
    pane.scrollTop += below(marked[0]);
  }
}

function list(on) {
  if (!on && !pictures.length) return;
  if (on && !listed) {
    listed = facts.ops.map((o, i) => {
      const cell = (text, step) => step === undefined ? null : Object.assign(make("button", { type: "button", tabindex: -1, class: step < lossStep ? "forward" : "backward" }, text), { step });
      return [cell(`${i + 1} ${o.name} → ${value(o.out).name}`, moments.n[i]), cell(`rule of ${o.name}`, moments.r[i])];
    });
    for (let i = 0; i < listed.length; i += 50) { // a part out of sight costs nothing
      $("rows").append(make("ol", {}, ...listed.slice(i, i + 50).map((pair) => make("li", {}, ...pair))));
    }
    $("rows").addEventListener("click", (event) => event.target.step !== undefined && show(event.target.step));
  }
  $("rows").hidden = !on;
  $("picture").hidden = on;
  $("list").setAttribute("aria-pressed", String(on));
  $("fold").setAttribute("aria-disabled", on || !shown);
  $("unfold").setAttribute("aria-disabled", on || shown >= pictures.length - 1);
  pictures.forEach(({ svg }, k) => svg.toggleAttribute("hidden", k !== shown));
  paint();
  if (at >= 0) picture(quiz.open < 0 ? at : at - 1);
}

// The pictures are of the first moment: their loss is another now
function told(now, before) {
  const [loss, old] = [now, before].map((text) => text.split(" ").at(-1));
  for (const text of $("picture").querySelectorAll("text")) {
    const tells = text.matches(".caption") || text.parentNode.querySelector(".loss");
    if (tells && text.textContent.endsWith(" " + old)) text.textContent = text.textContent.slice(0, -old.length) + loss;
  }
}

function depth(change) {
  shown = Math.max(0, Math.min(pictures.length - 1, shown + change));
  list($("picture").hidden);
  remember();
}

// The overlay's numbers and bars

function paint() {
  const found = facts.overlays[lens];
  $("overlay").value = lens;
  fill($("caption"), found ? found.caption : "");
  if (!$("rows").hidden) {
    listed.forEach((pair, i) => pair.forEach((cell, back) => {
      const [text, bar] = found?.boxes["nr"[back] + (i + 1)] || ["", null];
      if (!cell || (cell.dataset.reading || "") === text) return;
      cell.dataset.reading = text;
      cell.dataset.heat = bar === null ? "" : Math.min(4, Math.floor(5 * bar));
      cell.style.setProperty("--bar", bar || 0);
    }));
    return;
  }
  const boxes = found?.folded[shown] || found?.boxes;
  for (const box of pictures[shown].boxes) {
    if (!/^[nr]\d/.test(box.id)) continue;
    const [text, bar] = boxes?.[box.id] || [box.words, null];
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(box.shape.getAttribute(name)));
    const long = boxes ? (6.2 * text.length) / (width - 8) : 0;
    box.below.textContent = long > 1.3 ? text.split(":")[0] : text; // the whole is told beside its step
    box.group.setAttribute("aria-label", `${box.group.querySelector("text").textContent}, ${text}`);
    if (6.2 * box.below.textContent.length > width - 8 && boxes) box.below.setAttribute("textLength", width - 8);
    else box.below.removeAttribute("textLength");
    box.below.setAttribute("lengthAdjust", "spacingAndGlyphs");
    box.bar?.remove();
    box.shape.classList.remove("heat0", "heat1", "heat2", "heat3", "heat4");
    box.below.setAttribute("y", y + height - (bar ? 6 : 5));
    if (bar === null) continue;
    box.shape.classList.add(`heat${Math.min(4, Math.floor(5 * bar))}`);
    box.bar = make("path", { class: "bar", d: `M${x + 6} ${y + height - 3}h${bar * (width - 12)}v3H${x + 6}z` });
    if (bar) box.group.append(box.bar);
  }
}

// The overlay's words for this step, which its box may have no room for
function reading() {
  const { kind, op } = facts.steps[at];
  const found = facts.overlays[lens]?.boxes[(kind === "backward" ? "r" : "n") + (op + 1)];
  fill($("reading"), found ? `${lens}: ${found[0]}` : "");
}

function overlay(name) {
  lens = name;
  paint();
  reading();
  remember();
}

function another() {
  const there = ["", ...Object.keys(facts.overlays).filter((name) => !facts.overlays[name].missing)];
  overlay(there[(there.indexOf(lens) + 1) % there.length]);
}

// Rows by keyboard and by what is searched

function move(way) {
  const all = cells();
  const step = facts.steps[at];
  const here = document.activeElement.closest("#rows button, #picture g");
  let back = Number(step.kind === "backward");
  let i = all.findIndex((pair) => pair.includes(here));
  if (i >= 0) back = all[i].indexOf(here);
  else i = all.findIndex((pair) => pair.some((cell) => cell?.classList.contains("now") || cell?.classList.contains("near")));
  const pair = all[Math.max(0, Math.min(all.length - 1, i + way))];
  if (!pair) return;
  all[i]?.forEach((cell) => cell?.setAttribute("tabindex", -1));
  const cell = pair[back] || pair[0];
  cell.setAttribute("tabindex", 0);
  cell.focus();
}

function search(words) {
  const wanted = words.toLowerCase().trim();
  if (wanted) list(true);
  let found = 0;
  listed?.forEach(([there], i) => {
    const o = facts.ops[i];
    const v = value(o.out);
    const text = [v.name, o.name, v.type, facts.places[o.place].at, o.scope].join(" ").toLowerCase();
    found += !(there.parentNode.hidden = Boolean(wanted) && !text.includes(wanted));
  });
  if (wanted) fill($("caption"), `${found} of ${facts.ops.length} operations`);
  else if (listed) paint();
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
  timer = on ? setInterval(() => (at < facts.steps.length - 1 ? show(at + 1) : play(false)), 1000 / $("speed").value) : 0;
  $("play").textContent = on ? "pause" : "play";
  $("play").title = on ? "Pause (Space)" : "Play (Space)";
}

function details(id) {
  $(id).open = !$(id).open;
  $(id).firstElementChild.focus();
}

function escape() {
  if ($("search").value) search(($("search").value = ""));
  else if (quiz.on) actions.quiz();
  else if ($("help").open) details("help");
  else if ($("all").open) details("all");
  else document.activeElement.blur();
}

const actions = {
  first: () => show(0),
  back: () => show(at - 1),
  next: () => show(quiz.open >= 0 ? (quiz.seen.add(at), at) : at + 1),
  last: () => show(facts.steps.length - 1),
  loss: () => show(lossStep),
  twin: () => twin() >= 0 && show(twin()),
  before: () => show(module(-1)),
  after: () => show(module(1)),
  play: () => play(!timer),
  quiz: () => {
    quiz.on = !quiz.on;
    $("quiz").setAttribute("aria-pressed", String(quiz.on));
    show(at);
  },
  keys: () => details("help"),
  list: () => list($("rows").hidden),
  fold: () => depth(-1),
  unfold: () => depth(1),
  up: () => move(-1),
  down: () => move(1),
};
const KEYS = {
  ArrowRight: actions.next, ArrowLeft: actions.back, "Shift+ArrowLeft": actions.before, "Shift+ArrowRight": actions.after,
  Home: actions.first, End: actions.last, Escape: escape, " ": actions.play, l: actions.loss, b: actions.twin,
  q: actions.quiz, "?": actions.keys, t: () => quiz.open < 0 && details("all"), "/": () => $("search").focus(), r: actions.list,
  "[": actions.fold, "]": actions.unfold, o: another,
};

document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (target === $("search") && (key === "Enter" || key === "Escape")) {
    if (key === "Escape") escape();
    else cells()[0]?.[0].focus();
    return event.preventDefault();
  }
  const letter = key.length === 1 && key !== " ";
  const busy = target.closest("input, select") || (key === " " && target.closest("button, summary, a, [role=button]"));
  if (target.closest("#picture g") && (key === "Enter" || key === " ")) target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  if (busy || (letter && !$("letters").checked)) return;
  const choice = quiz.open >= 0 && $("ask").querySelectorAll("button")[letter ? "abcd".indexOf(key.toLowerCase()) : -1];
  if (choice) return choice.click();
  const rows = target.closest("#picture, #rows") && { ArrowUp: actions.up, ArrowDown: actions.down }[key];
  const action = rows || KEYS[letter ? key.toLowerCase() : event.shiftKey && key.startsWith("Arrow") ? "Shift+" + key : key];
  if (!action) return;
  event.preventDefault();
  if (action !== actions.play) play(false);
  action();
});

function linked() {
  const link = new URLSearchParams(location.hash.slice(1));
  const k = pictures.findIndex((p) => p.depth === Number(link.get("depth") ?? -1));
  if (k >= 0) shown = k;
  if (facts.overlays[link.get("overlay")]?.boxes) lens = link.get("overlay");
  const step = link.get("step");
  return /^\d+$/.test(step) ? Number(step) : Math.max(0, at);
}

async function unpack(block) {
  if (block.type === "application/json") return new Response(block.textContent);
  const bytes = Uint8Array.from(atob(block.textContent), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));
}

async function numbered() {
  const response = await unpack($("numbers")).catch(() => null);
  if (response) packed = new Uint8Array(await response.arrayBuffer());
  return (await unpack($("facts"))).text();
}

function begin(text) {
  DATA = JSON.parse(text);
  facts = DATA.frames[0];
  facts.steps.forEach((step, i) => step.op >= 0 && (moments[step.kind === "forward" ? "n" : "r"][step.op] = i));
  lossStep = facts.steps.findIndex((step) => step.kind === "loss");
  pictures = DATA.pictures.map(read);
  shown = usual();
  for (const [id, action] of Object.entries(actions)) {
    $(id).addEventListener("click", () => {
      if (id !== "play") play(false);
      action();
    });
  }
  $("overlay").append(make("option", { value: "" }, "none"));
  for (const [name, { missing }] of Object.entries(facts.overlays)) $("overlay").append(make("option", { value: name, ...(missing ? { disabled: "", title: missing } : {}) }, missing ? `${name} (not at hand)` : name));
  $("overlay").addEventListener("change", () => overlay($("overlay").value));
  $("search").addEventListener("input", () => search($("search").value));
  $("speed").addEventListener("change", () => timer && play(true));
  $("slider").max = facts.steps.length - 1;
  $("slider").addEventListener("input", () => show(Number($("slider").value)));
  $("frame").max = DATA.frames.length - 1;
  $("frames").hidden = DATA.frames.length < 2;
  $("moment").textContent = DATA.labels[0];
  $("frame").addEventListener("input", () => {
    const k = Number($("frame").value);
    told(DATA.frames[k].summary.at(-1), facts.summary.at(-1));
    facts = DATA.frames[k];
    fill($("summary"), facts.summary.join(", "));
    $("moment").textContent = DATA.labels[k];
    $("frame").setAttribute("aria-valuetext", DATA.labels[k]);
    $("all").querySelector(".scroll")?.remove();
    if ($("all").open) table();
    paint();
    show(at);
  });
  $("all").addEventListener("toggle", () => $("all").open && table());
  window.addEventListener("beforeprint", () => {
    table();
    $("all").open = true;
  });
  window.addEventListener("hashchange", () => {
    const step = linked();
    list($("picture").hidden);
    show(step);
  });
  const step = linked();
  list(!pictures.length);
  for (const id of ["list", "fold", "unfold"]) $(id).hidden = !pictures.length || (id !== "list" && pictures.length < 2);
  show(step, true);
  quiz.on = DATA.quiz;
  $("quiz").setAttribute("aria-pressed", String(quiz.on));
  document.body.classList.add("ready");
}

numbered().then(begin, () => fill($("sentence"), "This page is packed, and this browser cannot unpack it: it has no DecompressionStream."));
