"use strict";
// The editor, and the worker that runs what is in it. Texts of programs enter the page as text nodes only; the player
// stands in a frame that has no access to the page.
const at = (id) => document.getElementById(id);
const json = (id) => JSON.parse(at(id).textContent);
const [code, numbers, frame, printed] = [at("code"), at("numbers"), document.querySelector("iframe"), document.querySelector("#output pre")];
const examples = json("examples");
let worker, contents, page, began;
let state = "loading"; // then "ready" or "running"
let asked = false; // whether to run as soon as Python is ready

// Python: its files, the worker, and what the worker says.

function say(text) {
  at("status").textContent = text;
}

async function filesOfPython() {
  const listed = json("files"), [found, total] = [{}, listed.reduce((sum, file) => sum + file.size, 0)];
  let loaded = 0;
  for (const { name, size, url, integrity } of listed) {
    say(`Loading Python: ${Math.round(loaded / 1e6)} of ${Math.round(total / 1e6)} MB`);
    found[name] = at(name) ? await unpacked(at(name).textContent) : await (await fetch(url, { integrity })).arrayBuffer();
    loaded += size;
  }
  return found;
}

async function startPython() {
  enter("loading");
  try {
    contents ??= await filesOfPython();
  } catch (error) {
    return say(`Python could not be loaded (${error.message}). Is there a network? python -m autograd_cnn live --offline FOLDER writes a page that needs none.`);
  }
  say("Starting Python");
  worker = new Worker(URL.createObjectURL(new Blob([at("worker").textContent], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    if (data.ready) ready();
    else if (data.printed !== undefined) print(data.printed);
    else if (data.done) show(data.done);
    else restart(`Python ended: ${data.failed}`);
  };
  worker.onerror = (event) => restart(`Python ended: ${event.message}`);
  worker.postMessage({ files: contents });
}

function enter(next) {
  state = next;
  document.body.dataset.state = next;
  at("stop").disabled = next !== "running";
}

function ready() {
  enter("ready");
  say("Ready");
  if (asked) run();
}

function restart(message) {
  worker.terminate();
  showError(message, 0);
  startPython();
}

// A run.

function run() {
  asked = state === "loading";
  if (state !== "ready") return;
  enter("running");
  showError("", 0);
  printed.textContent = "";
  at("output").hidden = true;
  began = performance.now();
  say("Running");
  worker.postMessage({ source: code.value });
}

function print(text) {
  at("output").hidden = false;
  printed.append(text);
}

function show(result) {
  enter("ready");
  showError(result.error, result.line);
  page = result.page;
  at("player").hidden = !page;
  frame.srcdoc = page;
  say(`${result.error ? "Ended by an error" : "Done"} after ${((performance.now() - began) / 1000).toFixed(2)} s`);
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

function load(source) {
  code.value = source;
  code.rows = Math.min(18, source.split("\n").length);
  code.scrollTop = 0;
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
code.addEventListener("input", () => showError("", 0));
code.addEventListener("scroll", () => (numbers.scrollTop = code.scrollTop));
new ResizeObserver(() => (numbers.scrollTop = code.scrollTop)).observe(code);

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
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied");
  } catch {
    say("The address bar has the link");
  }
}

async function openLink() {
  const found = location.hash.match(/^#code=([\w-]+)$/);
  if (!found) return false;
  try {
    const bytes = bytesOf(found[1].replaceAll("-", "+").replaceAll("_", "/"));
    load(new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes)));
    at("example").selectedIndex = -1;
  } catch {
    showError("The program in this address is damaged", 0);
    return false;
  }
  return true;
}

for (const [title, source] of examples) at("example").add(new Option(title, source));
at("example").addEventListener("change", (event) => {
  load(event.target.value);
  run();
});
at("run").addEventListener("click", run);
at("stop").addEventListener("click", () => restart("Stopped"));
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

load(examples[0][1]);
openLink().then((linked) => {
  asked = !linked; // somebody else's program waits for its reader
  startPython();
});
