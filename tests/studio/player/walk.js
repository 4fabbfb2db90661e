// Walks all steps by keyboard; returns what each shows: its number, the counter, whether it says what Python wrote, pixels
// too wide, images without words, text outside of its box, and what it says wrong of elements
back => {
    const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    const text = (id) => document.getElementById(id).textContent;
    const shown = (number) => Number(number.replaceAll("−", "-"));
    // Inputs that learn, whose elements give the same element of the output: one place is selected in all of which no earlier step spoke
    const several = () => {
        const {output, learns = []} = facts.steps[at].op < 0 ? {} : facts.ops[facts.steps[at].op];
        const first = (id) => learns.includes(id) && value(id).parts[0][0] === facts.steps[at].op; // others stay
        const alike = learns.length ? [output, ...(reach?.each || []).filter(first)].filter((id) => mapped(id)) : [];
        const labels = [...new Set(alike.map((id) => selected(id).label.replace(value(id).name, "")))];
        return labels.length > 1 ? [`is not alone: ${labels.join(" and ")} of ${alike.map((id) => value(id).name)}`] : [];
    };
    // What is said of an element that is pointed at: its own number, and the sum of products if nothing else is added
    const wrongAt = (entry, c, y, x) => {
        point(entry, c, y, x);
        const said = document.getElementById("found");
        const [line, own] = [said.innerText.replaceAll("\n", " "), said.querySelectorAll(":scope > p:first-of-type > b, :scope > .line > p > b")[1]];
        const all = () => [scene, Object.values(facts.values)].flat().every((thing) => !thing.numbers?.some((number) => !Number.isFinite(number)) && !thing.array?.bad && !thing.gradient?.bad);
        const wrong = line.includes("not finite") && all() ? ["is not finite"] : [];
        const number = entry.read(c, y, x, filterOf(entry));
        if (!places && Number.isFinite(number) && own && shown(own.textContent) !== number) wrong.push(`is not ${number}`);
        const [sum, rest, bias] = [said.querySelector(".grid b"), said.querySelector(".line > p"), / ([+−]) (\S+) \(/.exec(line)];
        const added = bias ? shown(bias[2]) * (bias[1] === "+" ? 1 : -1) : 0;
        if (sum && !rest && !places && Number.isFinite(number) && !(Math.abs(shown(sum.textContent) + added - number) <= 0.01 * Math.max(...[...[...said.querySelectorAll(".grid")].at(-1).querySelectorAll("td")].map((cell) => Math.abs(shown(cell.textContent)))))) wrong.push(`is another sum than ${number}`);
        return [...wrong, ...several()].map((what) => `${entry.name}: ${line} ${what}`);
    };
    const known = new Set(); // long pages repeat themselves
    const like = () => (({ kind, op: i }) => [kind, facts.ops[i]?.name, value(facts.ops[i]?.output)?.shape].join())(facts.steps[at]);
    const fresh = () => { // as if this step were opened first, where the examples are selected
        spot = null;
        for (const id of Object.keys(chosen)) delete chosen[id];
        show(at);
        return several();
    };
    const doubts = () => known.has(like()) || !known.add(like()) ? [] : [...several(), ...fresh(), ...scene.flatMap((entry) => [0, 0.5, 1].flatMap((part) => wrongAt(entry, ...entry.shape.slice(1).map((n) => Math.floor(part * (n - 1))))))];
    const cut = CUT;
    const count = Math.min(facts.steps.length, 1000); // of a long page the first thousand, and back the last thousand
    press(back ? "End" : "Home");
    return Array.from({length: count}, () => {
        const found = [at, text("position"), facts.steps[at].say && text("sentence") === facts.steps[at].say && [...document.images].every((image) => image.alt), document.documentElement.scrollWidth - innerWidth, [...cut(), ...(back ? [] : doubts())]];
        press(back ? "ArrowLeft" : "ArrowRight");
        return found;
    });
}
