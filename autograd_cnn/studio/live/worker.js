"use strict";
// Runs Python. Its files come with the first message, programs with the later ones.
let python, run, program, id, timer;

onmessage = async ({ data }) => {
  clearTimeout(timer);
  try {
    if (data.files) await start(data.files);
    else if (data.source !== undefined) {
      program.return(); // the one before
      id = data.run;
      program = run(data.source, (text) => postMessage({ printed: text, run: id }));
      tell();
    } else if (data.pixels) tell(python.toPy(data.pixels));
    else if (data.train) train();
    else if (!data.step || tell(0)) tell(); // the player of the latest step
  } catch (error) {
    postMessage({ failed: String(error.message || error) });
  }
};

function train() {
  if (tell(0.1)) timer = setTimeout(train); // a tenth of a second, then the page's messages
}

function tell(order) {
  const { value } = program.next(order), moment = value.toJs({ dict_converter: Object.fromEntries });
  value.destroy();
  postMessage({ moment, run: id, painted: typeof order === "object" });
  return moment.trains;
}

async function start(files) {
  // Pyodide fetches its files by name: all of them are here.
  self.fetch = async (request) => {
    const name = String(request.url ?? request).split("/").pop();
    if (!files[name]) throw new TypeError(`${name}: this page makes no requests`);
    return new Response(files[name], { headers: { "content-type": name.endsWith(".wasm") ? "application/wasm" : "text/plain" } });
  };
  for (const name of ["pyodide.asm.js", "pyodide.js"]) {
    importScripts(URL.createObjectURL(new Blob([files[name]], { type: "text/javascript" })));
  }
  const quiet = () => {};
  python = await loadPyodide({ indexURL: "https://files.invalid/" });
  await python.loadPackage("numpy", { messageCallback: quiet });
  python.unpackArchive(files["package.zip"], "zip", { extractDir: python.runPython("import site; site.getsitepackages()[0]") });
  run = python.pyimport("autograd_cnn.studio.live.run").run;
  program = run("import autograd_cnn as ag\nag.trace(lambda x: x * x, 1.0)", quiet);
  program.next().value.destroy(); // imports what every run needs
  postMessage({ ready: true });
}
