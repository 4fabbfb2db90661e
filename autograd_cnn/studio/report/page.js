"use strict";
// The player starts when its place is opened, so that the report itself opens at once.
const place = document.getElementById("player");
if (place) {
  const text = JSON.parse(document.getElementById("player-page").textContent);
  place.addEventListener("toggle", () => {
    const frame = place.querySelector("iframe");
    if (place.open && !frame.srcdoc) frame.srcdoc = text;
  });
  document.getElementById("alone").addEventListener("click", () => {
    open(URL.createObjectURL(new Blob([text], { type: "text/html" })));
  });
}
