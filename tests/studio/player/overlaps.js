// What crosses a text of the picture as this browser draws it: another text, a box of another group, or a wire.
() => {
  const svg = document.querySelector("#picture svg:not([hidden])");
  const seen = (element) => getComputedStyle(element).visibility === "visible" && element.textContent.trim();
  const within = (element) => {
    const { x, y, width, height } = element.getBBox();
    return { left: x, top: y + 1.5, right: x + width, bottom: y + height - 1.5 }; // the lines of a font are higher than its letters
  };
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const texts = [...svg.querySelectorAll("text")].filter(seen).map((text) => ({ text, box: within(text) }));
  const boxes = [...svg.querySelectorAll("rect.shape:not(.frame), image:not([hidden])")].map((shape) => ({ shape, box: within(shape) }));
  const wires = [...svg.querySelectorAll("path.wire")].filter((wire) => getComputedStyle(wire).visibility === "visible");
  const points = wires.flatMap((wire) => Array.from({ length: wire.getTotalLength() / 2 }, (_, i) => wire.getPointAtLength(2 * i)));
  const found = [];
  for (const [i, { text, box }] of texts.entries()) {
    const say = (what) => found.push(`${text.textContent}: ${what}`);
    for (const other of texts.slice(0, i)) if (meet(box, other.box)) say(other.text.textContent);
    for (const { shape, box: around } of boxes) if (shape.parentNode !== text.parentNode && meet(box, around)) say("a box");
    const own = text.parentNode.querySelector(":scope > rect.shape:not(.frame)");
    if (own && (within(own).left > box.left || within(own).right < box.right)) say("wider than its box");
    if (points.some(({ x, y }) => meet(box, { left: x, right: x, top: y, bottom: y }))) say("a wire");
  }
  return found;
}
