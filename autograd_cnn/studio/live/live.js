"use strict";
// The editor, and the worker that runs what is in it. Texts of programs enter the page as text nodes only; the player
// stands in a frame that has no access to the page.
const at = (id) => document.getElementById(id);
const json = (id) => JSON.parse(at(id).textContent);
const [code, numbers, printed] = [at("code"), at("numbers"), document.querySelector("#output pre")];
const programs = json("examples").map(([title, source]) => ({ source, key: `autograd_cnn live: ${title}` }));
const contents = {}; // the files of Python that are loaded
let worker, page, began, program;
let state = "loading"; // then "ready", "running", "training" or "paused"
let asked = false; // whether to run as soon as Python is ready, or has ended the run before
let [ran, ended] = [null, ""]; // the program of the latest run, and how it ended if Python had to end
let [runs, losses, since] = [0, [], null];
let late; // tells of a step that takes long
let stepped = 0; // the step that the player shows
let [pixels, painting] = [[], false]; // drawn on the player's input, and whether Python paints those before

// Python: its files, the worker, and what the worker says.

function say(text) {
  at("status").textContent = text;
}

async function loadPython() {
  const listed = json("files"), total = listed.reduce((sum, file) => sum + file.size, 0);
  let loaded = 0;
  for (const { name, size, url, integrity } of listed) {
    say(`Loading Python: ${Math.round(loaded / 1e6)} of ${Math.round(total / 1e6)} MB`);
    contents[name] ??= at(name) ? await unpacked(at(name).textContent) : await (await fetch(url, { integrity })).arrayBuffer();
    loaded += size;
  }
}

async function startPython() {
  enter("loading");
  at("again").hidden = true;
  try {
    await loadPython();
  } catch (error) {
    return fail(`${error.message}. Is there a network? python -m autograd_cnn live --offline FOLDER writes a page that needs none.`);
  }
  say(`${ended}Starting Python`);
  worker = new Worker(URL.createObjectURL(new Blob([at("worker").textContent], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    if (data.ready) ready();
    else if (data.failed) fail(data.failed);
    else if (data.run !== runs) return; // of a program that another one has followed
    else if (data.painted) painted(data.moment);
    else if (data.moment) show(data.moment);
    else print(data.printed);
  };
  worker.onerror = (event) => fail(event.message);
  worker.postMessage({ files: contents });
}

function fail(message) {
  if (state !== "loading") return restart("", `Python ended: ${message}`);
  say(`Python could not be loaded: ${message}`);
  at("again").hidden = false;
}

function enter(next) {
  state = next;
  document.body.dataset.state = next;
  at("stop").disabled = next === "loading" || next === "ready"; // a step without end does not see a pause
  at("go").disabled = at("step").disabled = next !== "training" && next !== "paused";
  at("go").textContent = next === "training" ? "pause" : "go on";
  clearTimeout(late);
  if (losses.length) draw();
}

function ready() {
  enter("ready");
  say(`${ended}Ready`);
  if (asked) run();
}

function restart(how, error = "") {
  [asked, ended] = [false, how]; // what ended Python would end it again
  painting = false;
  worker.terminate();
  showError(error, 0);
  startPython();
}

// A run.

function run() {
  asked = state === "loading" || state === "running";
  if (asked) return;
  enter("running");
  [ran, ended] = [code.value, ""];
  changed();
  [losses, stepped, pixels, painting] = [[], 0, [], false];
  at("player").querySelector("h2").textContent = "Player of the run before";
  at("step").hidden = true;
  for (const part of [at("curve"), at("count"), printed]) part.replaceChildren();
  at("output").hidden = at("training").hidden = at("drawn").hidden = true;
  began = performance.now();
  say("Running");
  late = setTimeout(() => say("This takes long; stop ends it"), 3000);
  worker.postMessage({ source: ran, run: ++runs });
}

function print(text) {
  at("output").hidden = false;
  printed.append(text);
}

function show(moment) {
  const first = state === "running";
  if (first) enter("ready");
  if (first && asked) return run();
  for (const loss of moment.losses) losses.push(loss);
  if (moment.picture) [at("picture").src, at("drawn").lastChild.textContent, at("drawn").hidden] = [moment.picture, moment.caption, false];
  if (first || moment.page || moment.error) showPlayer(moment);
  if (first && moment.trains) train(true);
  else if (!moment.trains) {
    enter("ready");
    showError(moment.error, moment.line);
    const when = losses.length ? `in step ${losses.length + 1}` : `after ${((performance.now() - began) / 1000).toFixed(2)} s`;
    say(`${moment.error ? "Ended by an error" : "Done"} ${when}`);
  } else if (moment.page && state === "paused") {
    clearTimeout(late);
    say(`Paused after step ${losses.length}`);
    if (innerWidth < 800) document.querySelector("iframe").scrollIntoView({ block: "end" }); // its buttons are below
  } else wait();
  if (losses.length) draw();
}

function showPlayer(moment) {
  page = moment.page;
  at("player").hidden = !page;
  at("step").hidden = !losses.length || Boolean(moment.error);
  at("player").querySelector("h2").textContent = moment.error ? "Player, up to the error" : moment.draws ? `Player: draw on ${moment.draws}` : losses.length ? `Player of step ${losses.length} as it was computed: numbers before its update` : "Player";
  const frame = document.querySelector("iframe"), fresh = Object.assign(frame.cloneNode(), { srcdoc: page });
  if (moment.draws) fresh.addEventListener("load", () => fresh.contentWindow.postMessage({ draws: moment.draws }, "*"));
  const link = stepped && `about:srcdoc#step=${stepped}`;
  if (link) fresh.addEventListener("load", () => fresh.contentWindow.location.replace(link), { once: true });
  frame.replaceWith(fresh); // Chromium never paints a frame that is shown and gets a page at once
}

addEventListener("message", ({ source, data }) => {
  const frame = document.querySelector("iframe");
  if (source !== frame.contentWindow) return;
  if (data.height) frame.style.height = `${Number(data.height) + 4}px`; // the page scrolls, not the frame
  else if (data.pixels) paint(data.pixels);
  else stepped = Number(data.step);
});

// Drawing: pixels wait while Python is at those before; then the player gets the numbers that they make

function paint(more) {
  pixels.push(...more);
  if (painting || !pixels.length || (state !== "paused" && state !== "ready")) return;
  painting = true;
  worker.postMessage({ pixels: pixels.splice(0) });
}

function painted(moment) {
  painting = false;
  showError(moment.error, moment.line);
  if (!moment.page) return;
  page = moment.page;
  document.querySelector("iframe").contentWindow.postMessage({ facts: page.match(/id="facts">([^<]*)/)[1] }, "*");
  paint([]);
}

// Training.

function train(on, step) {
  enter(on ? "training" : "paused");
  wait();
  at("training").hidden = false;
  since = [losses.length, performance.now()];
  worker.postMessage({ train: on, step });
}

function wait() {
  const trains = state === "training", words = trains ? "Training; pause shows the player of the latest step" : "Pausing";
  if (at("status").textContent !== words) say(words); // else it would be read out again
  clearTimeout(late);
  late = setTimeout(() => say(`${trains ? "A step" : "Pausing"} takes long; stop ends it`), 3000);
}

const round = (number) => String(Number(number.toPrecision(3)));

function draw() {
  const curve = at("curve"), [width, height, count, latest] = [curve.clientWidth, curve.clientHeight, losses.length, losses.at(-1)];
  let [low, high] = [Infinity, -Infinity];
  for (const loss of losses) if (Number.isFinite(loss)) (low = Math.min(low, loss)), (high = Math.max(high, loss));
  const log = low > 0, scale = log ? Math.log10 : Number;
  const heights = log && high > 10 * low ? decades(low, high) : ticks(low, high), steps = ticks(1, count).filter(Number.isInteger);
  const left = 14 + 8 * Math.max(4, ...heights.map((loss) => round(loss).length));
  const x = (step) => Math.round(left + ((step - 1) / Math.max(1, count - 1)) * (width - left - 16));
  const y = (loss) => (height - 22 - ((scale(loss) - scale(low)) / (scale(high) - scale(low) || 1)) * (height - 44)).toFixed(1);
  const columns = new Map(); // lowest and highest loss in each column of pixels
  losses.forEach((loss, i) => {
    if (!Number.isFinite(loss)) return;
    const column = x(i + 1), [a, b] = columns.get(column) ?? [loss, loss];
    columns.set(column, [Math.min(a, loss), Math.max(b, loss)]);
  });
  curve.replaceChildren(
    ...heights.flatMap((loss) => [shape("path", { d: `M${left},${y(loss)}H${width}` }), shape("text", { x: left - 6, y: y(loss), dy: 4, "text-anchor": "end" }, round(loss))]),
    ...steps.map((step) => shape("text", { x: x(step), y: height - 4, "text-anchor": "middle" }, step)),
    shape("text", { x: width - 4, y: 14, "text-anchor": "end" }, `loss at each step${log ? ", on a log scale" : ""}`),
    shape("polyline", { points: [...columns].map(([column, [a, b]]) => `${column},${y(a)} ${column},${y(b)}`).join(" ") }),
    ...(Number.isFinite(latest) ? [shape("circle", { cx: x(count), cy: y(latest), r: 4 })] : []),
  );
  curve.setAttribute("aria-label", `Curve of the loss: ${round(losses[0])} in step 1, ${round(latest)} in step ${count}`);
  const speed = (count - since[0]) / ((performance.now() - since[1]) / 1000);
  at("count").textContent = `step ${count}, loss ${latest.toPrecision(4)}${state === "training" ? `, ${round(speed)} steps a second` : ""}`;
}

function shape(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  made.textContent = text;
  return made;
}

function ticks(low, high) {
  const rough = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(rough)), found = [];
  const unit = power * [1, 2, 5, 10].find((k) => k * power >= rough);
  for (let k = Math.ceil(low / unit); k * unit <= high; k++) found.push(k * unit);
  return found;
}

function decades(low, high) {
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) found.push(...(high < 100 * low ? [power, 2 * power, 5 * power] : [power]));
  return found.filter((value) => value >= low && value <= high);
}

function showError(text, line) {
  at("error").hidden = !text;
  at("error").lastChild.textContent = text;
  at("place").hidden = !line;
  at("place").textContent = line && `line ${line}`;
  code.style.setProperty("--line-number", line);
  code.setAttribute("aria-invalid", String(line > 0));
  number(line);
}

// The editor.

function number(wrong = 0) {
  numbers.replaceChildren();
  code.value.split("\n").forEach((_, i) => {
    const label = i + 1 === wrong ? document.createElement("mark") : new Text();
    label.textContent = i + 1;
    numbers.append(label, "\n");
  });
  numbers.scrollTop = code.scrollTop;
}

// Edits of each program stay with the browser, or with the page where it stores none, as in a sandbox.

const edits = {};

function stored(key, text) {
  edits[key] = text ?? edits[key];
  try {
    if (text !== undefined) localStorage.setItem(key, text);
    return edits[key] ?? localStorage.getItem(key);
  } catch {
    return edits[key];
  }
}

function choose(index) {
  program = programs[index];
  at("example").selectedIndex = index;
  stored("autograd_cnn live", program.key);
}

function load(index) {
  choose(index);
  code.value = stored(program.key) || program.source;
  const room = innerWidth < 800 ? 0 : Math.floor(innerHeight / 40) + 2; // half of a wide window; the player begins in the other half
  code.rows = Math.min(Math.max(18, room), code.value.split("\n").length);
  code.scrollTop = 0;
  changed();
}

function changed() {
  const edited = code.value !== program.source;
  stored(program.key, edited ? code.value : "");
  at("original").hidden = !edited;
  at("run").textContent = ran === null || ran === code.value ? "run" : "changed: run to use it";
  showError("", 0);
}

function select(line) {
  const lines = code.value.split("\n"), start = lines.slice(0, line - 1).join("\n").length + (line > 1);
  code.focus();
  code.setSelectionRange(start, start + lines[line - 1].length);
  code.scrollTop = Math.max(0, (line - 5) * parseFloat(getComputedStyle(code).lineHeight));
}

function insert(text) {
  document.execCommand("insertText", false, text); // unlike an assignment, Ctrl-Z takes it back
}

function indent(back) {
  let { selectionStart: from, selectionEnd: to, value } = code;
  if (from === to && !back) return insert(" ".repeat(4 - ((from - value.lastIndexOf("\n", from - 1) - 1) % 4)));
  from = value.lastIndexOf("\n", from - 1) + 1;
  const old = value.slice(from, to), lines = old.split("\n");
  const moved = lines.map((line) => (back ? line.replace(/^ {1,4}/, "") : line && `    ${line}`)).join("\n");
  if (moved === old) return;
  code.setSelectionRange(from, to);
  insert(moved);
  code.setSelectionRange(lines.length > 1 ? from : from + moved.length, from + moved.length);
}

let leaving = false; // Esc, then Tab, leaves the editor
code.addEventListener("keydown", (event) => {
  const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
  if (key === "Tab" && !leaving && !ctrlKey && !metaKey && !altKey) {
    event.preventDefault();
    indent(shiftKey);
  } else if (key === "Enter" && !ctrlKey && !metaKey && !shiftKey && !altKey) {
    event.preventDefault();
    const before = code.value.slice(code.value.lastIndexOf("\n", code.selectionStart - 1) + 1, code.selectionStart);
    insert(`\n${before.match(/^ */)[0]}${/:\s*$/.test(before) ? "    " : ""}`);
  }
  leaving = key === "Escape" || (leaving && key === "Shift");
});
code.addEventListener("input", changed);
code.addEventListener("scroll", () => (numbers.scrollTop = code.scrollTop));
new ResizeObserver(() => (numbers.scrollTop = code.scrollTop)).observe(code);
new ResizeObserver(() => losses.length && draw()).observe(at("curve"));

// Links that carry a program: `#code=` and its bytes, deflated, in base64 for addresses.

async function through(stream, bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer();
}

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function unpacked(base64) {
  return through(new DecompressionStream("deflate"), bytesOf(base64));
}

async function link() {
  const bytes = new Uint8Array(await through(new CompressionStream("deflate-raw"), code.value));
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  history.replaceState(null, "", `#code=${base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`);
  choose(linked(code.value));
  changed();
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied");
  } catch {
    say("The address bar has the link");
  }
}

function linked(source) {
  const known = programs.findIndex(({ key }) => key === location.hash);
  if (known >= 0) return known;
  at("example").add(new Option("The program of the link"));
  return programs.push({ source, key: location.hash }) - 1;
}

async function openLink() {
  const found = location.hash.match(/^#code=([\w-]+)$/);
  if (!found) return false;
  try {
    const bytes = bytesOf(found[1].replaceAll("-", "+").replaceAll("_", "/"));
    load(linked(new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes))));
  } catch {
    showError("The program in this address is damaged", 0);
    return false;
  }
  return true;
}

for (const [title] of json("examples")) at("example").add(new Option(title));
at("example").addEventListener("change", (event) => {
  load(event.target.selectedIndex);
  run();
});
at("run").addEventListener("click", run);
at("go").addEventListener("click", () => train(state === "paused"));
at("step").addEventListener("click", () => train(false, true));
at("stop").addEventListener("click", () => restart("Stopped. "));
at("again").addEventListener("click", startPython);
at("original").addEventListener("click", () => {
  code.select();
  insert(program.source);
});
at("link").addEventListener("click", link);
at("place").addEventListener("click", () => select(Number(at("place").textContent.slice(5))));
at("alone").addEventListener("click", () => open(URL.createObjectURL(new Blob([page], { type: "text/html" }))));
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
addEventListener("hashchange", openLink);

load(Math.max(0, programs.findIndex(({ key }) => key === stored("autograd_cnn live"))));
openLink().then((linked) => {
  asked = !linked && code.value === program.source; // an edit, or somebody else's program, waits for its reader
  startPython();
});
