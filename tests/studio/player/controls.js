// Uses every control of a page once, at every step; returns how many it used, and pixels too wide
async () => {
    const rest = () => new Promise((done) => requestAnimationFrame(done));
    const all = (query) => [...document.querySelectorAll(query)].filter((element) => element.getClientRects().length);
    const mouse = {bubbles: true, cancelable: true, pointerType: "mouse", isPrimary: true};
    let count = 0;
    const press = (element, key) => element.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    const pointAt = (pane) => {
        const {left, top, width, height} = pane.getBoundingClientRect();
        for (const part of [0.01, 0.3, 0.55, 0.99]) {
            const [x, y] = [left + part * width, top + part * height];
            const target = pane.matches(".bars") ? pane.children[Math.floor(part * pane.children.length)] : pane;
            for (const kind of ["pointermove", "pointerdown"]) target.dispatchEvent(new PointerEvent(kind, {...mouse, clientX: x, clientY: y}));
        }
        for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp", "Enter"]) press(pane, key);
        count++;
    };
    const click = (element) => { element.dispatchEvent(new MouseEvent("click", mouse)); count++; };
    for (const panel of document.querySelectorAll("main details")) panel.open = true;
    for (let step = 0; step < facts.steps.length; step++) {
        show(step);
        all("#tensors canvas, #tensors .bars").forEach(pointAt);
        all(".plot input").forEach((range) => {
            for (let k = 0; k <= Number(range.max); k++) range.value = k, range.dispatchEvent(new Event("input")), count++;
        });
        all("summary").forEach(click);
        all("main details:not([open]) > summary").forEach(click);
    }
    for (const id of ["back", "next", "fold", "unfold", "unfold", "unfold", "fold", "fold", "fold"]) {
        click(document.getElementById(id));
        all("#picture .box, #picture .frame").forEach(click);
    }
    for (const key of ["?", "Home", "End", "Escape", " ", " ", "Shift", "é"]) press(document.body, key), count++;
    for (const hash of ["#step=2", "#step=99999", "#step=-1", "#<script>"]) { location.hash = hash; await rest(); count++; }
    const wide = document.documentElement.scrollWidth - innerWidth;
    const frame = document.getElementById("frame");
    for (frame.value = 0; frame.value < frame.max; frame.value++) frame.dispatchEvent(new Event("input")), count++;
    show(0);
    if (!quiz.on) click(document.getElementById("quiz"));
    for (let k = 0; k < 4 * facts.steps.length && at < facts.steps.length - 1; k++) {
        const answers = all("#ask button:not([disabled])");
        if (answers.length && k % 5) click(answers[k % answers.length]);
        press(document.body, "ArrowRight");
        count++;
    }
    press(document.body, "Escape");
    return [count, wide, at];
}
