// Walks all steps by keyboard; returns what each shows: its number, the counter, and pixels too wide
back => {
    const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    const text = (id) => document.getElementById(id).textContent;
    const count = facts.steps.length;
    press(back ? "End" : "Home");
    return Array.from({length: count}, () => {
        const shown = [at, text("position"), text("sentence").length, document.documentElement.scrollWidth - innerWidth];
        press(back ? "ArrowLeft" : "ArrowRight");
        return shown;
    });
}
