"use strict";
// Runs Python. Its files come with the first message, programs with the later ones.
let run;

onmessage = async ({ data }) => {
  try {
    if (data.files) await start(data.files);
    else done(run(data.source, (text) => postMessage({ printed: text })));
  } catch (error) {
    postMessage({ failed: String(error.message || error) });
  }
};

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
  const python = await loadPyodide({ indexURL: "https://files.invalid/" });
  await python.loadPackage("numpy", { messageCallback: quiet });
  python.unpackArchive(files["package.zip"], "zip", { extractDir: python.runPython("import site; site.getsitepackages()[0]") });
  run = python.pyimport("autograd_cnn.studio.live.run").run;
  run("import autograd_cnn as ag\nag.trace(lambda x: x * x, 1.0)", quiet).destroy(); // imports what every run needs
  postMessage({ ready: true });
}

function done(result) {
  postMessage({ done: result.toJs({ dict_converter: Object.fromEntries }) });
  result.destroy();
}
