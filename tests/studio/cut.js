// Finds texts outside of their boxes: wider than their element or out of the page and, in a drawing, wider than their shape
() => {
    const scrolls = (box) => ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    const free = (box) => box && (scrolls(box) || free(box.parentElement)); // it can be scrolled into view
    const texts = "h1, h2, h3, p, pre, small, dt, dd, li, th, td, button, summary, figcaption, code, header *, nav *";
    const cut = [...document.querySelectorAll(`:is(${texts})`)]
        .filter((box) => box.getClientRects().length && !box.closest("svg, .numbers, #menu"))
        .filter((box) => !scrolls(box) && box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).display !== "inline"
            && getComputedStyle(box).textOverflow !== "ellipsis" || box.getBoundingClientRect().right > innerWidth + 1 && !free(box));
    const within = (text, shape) => text.x >= shape.x && text.x + text.width <= shape.x + shape.width;
    const wide = [...document.querySelectorAll("svg rect.shape:not(.frame)")].flatMap((shape) =>
        [...shape.parentNode.querySelectorAll(":scope > text")]
            .filter((text) => text.getClientRects().length && !within(text.getBBox(), shape.getBBox())));
    return [...cut, ...wide].map((box) => `${box.tagName} ${box.getAttribute("class")} is cut: ${box.textContent.slice(0, 60)}`);
}
