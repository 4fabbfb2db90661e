"""Pointing at an element in a browser: what the page says of it is compared with sums of NumPy's own."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import load

pytestmark = pytest.mark.slow

PLACES = [(0, 0, 0), (5, 9, 3), (15, 15, 5), (15, 2, 4), (7, 7, 1)]  # y, x, channel


def tail(h2, p, y):
    m2 = ag.max_pool2d(ag.relu(h2), 2)
    h3 = ag.conv2d(m2, p["w3"], p["b3"], padding=1)
    m3 = ag.max_pool2d(ag.relu(h3), 2)
    u = ag.linear(ag.flatten(m3, 1), p["w4"], p["b4"])
    z = ag.linear(ag.relu(u), p["w5"], p["b5"])
    q = ag.sigmoid(z)
    return ag.bce(q, y)


def loss_of(x, p, y):
    h1 = ag.conv2d(x, p["w1"], p["b1"], padding=1)
    r1 = ag.relu(h1)
    m1 = ag.max_pool2d(r1, 2)
    h2 = ag.conv2d(m1, p["w2"], p["b2"], padding=1)
    return tail(h2, p, y)


@pytest.fixture(scope="module")
def cnn(browser, tmp_path_factory, traced):
    """The standard CNN in the player, and its arrays by name."""
    text, arrays = traced
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    yield load(context, tmp_path_factory.mktemp("cnn") / "page.html", text), arrays
    context.close()


@pytest.fixture(scope="module")
def traced():
    """The page of the standard CNN, and its arrays by name."""
    rng = np.random.default_rng(0)
    shapes = {
        "w1": (3, 3, 3, 32), "b1": (32,), "w2": (3, 3, 32, 64), "b2": (64,), "w3": (3, 3, 64, 128), "b3": (128,),
        "w4": (2048, 256), "b4": (256,), "w5": (256, 10), "b5": (10,),
    }  # fmt: skip
    arrays = {name: (0.1 * rng.normal(size=shape)).astype(np.float32) for name, shape in shapes.items()}
    p = {name: ag.Tensor(array, True, name) for name, array in arrays.items()}
    x, y = rng.uniform(size=(4, 32, 32, 3)).astype(np.float32), np.eye(10, dtype=np.float32)[:4]
    text = ag.trace(loss_of, x, p, y).page()
    arrays["h1"] = ag.conv2d(x, arrays["w1"], arrays["b1"], padding=1)
    arrays["r1"] = np.maximum(arrays["h1"], 0)
    arrays["m1"] = arrays["r1"].reshape(4, 16, 2, 16, 2, 32).max(axis=(2, 4))
    arrays["h2"] = ag.conv2d(arrays["m1"], arrays["w2"], arrays["b2"], padding=1)
    arrays["g_h2"] = ag.grad(lambda h: tail(h, p, y))(arrays["h2"])
    arrays["g_m1"] = ag.grad(lambda m: tail(ag.conv2d(m, p["w2"], p["b2"], padding=1), p, y))(arrays["m1"])
    loss_of(x, p, y).backward()
    arrays |= {f"g_{name}": parameter.grad for name, parameter in p.items()}
    return text, {
        name: np.asarray(getattr(a, "data", a) if not isinstance(a, np.ndarray) else a, float)
        for name, a in arrays.items()
    }


def go(page, name, way):
    """Show the step of the operation that makes `name`."""
    page.evaluate(
        "([name, way]) => show(facts.steps.findIndex((s) => s.kind === way && value(op(s).output).name === name))",
        [name, way],
    )
    page.evaluate("channel.fine = channel.coarse = 0")  # not those of the example


def point(page, name, y, x, c=0):
    """Hover over an element of the card `name`, and return what the page says: its text, and the tables' rows."""
    pane, left, top = page.evaluate_handle("name => scene.find((entry) => entry.name === name)", name), 0, 0
    left, top = pane.evaluate(
        """({ pane, scale: [high, broad], columns, colour, shape: [, , tall, wide] }, [y, x, c]) => {
          pane.scrollIntoView({ block: "center" });
          const [tile, box] = [c + colour, pane.getBoundingClientRect()];
          const across = (tile % columns) * (wide * broad + GAP) + (x + 0.5) * broad;
          const down = Math.floor(tile / columns) * (tall * high + GAP) + (y + 0.5) * high;
          return [box.left + (across / pane.width) * box.width, box.top + (down / pane.height) * box.height]; }""",
        [y, x, c],
    )
    page.mouse.move(left, top)
    return said(page)


def said(page):
    """Return the computation that the page shows: its text, the numbers of its tables, and which cells won."""
    text, tables, won = page.evaluate("""() => { const all = (tag) => [...$("found").querySelectorAll(tag)]; return [
        all(":scope > :not(h3)").map((part) => part.innerText).join(" ").replaceAll("\\n", " "),
        all("table").map((table) => [...table.rows].map((row) => [...row.cells].map((cell) => cell.innerText))),
        all("td").map((cell) => cell.className === "won")]; }""")
    return text, [np.array([[number(n) for n in row] for row in table]) for table in tables], won


def number(text):
    return float(text.replace("−", "-"))  # a minus sign


def last(text):
    """The number at the end of the first line, as the page says it."""
    return number(text.split(" = ")[-1].split(" ")[0].rstrip(":"))


def digits(a):
    return np.array([float(f"{v:.4g}") for v in np.ravel(a)]).reshape(np.shape(a))


def padded(a):
    return np.pad(a, [(1, 1), (1, 1), (0, 0)])


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_pixel_of_a_convolution_is_the_sum_of_the_products_under_its_window(cnn, place):
    page, a = cnn
    y, x, k = place
    go(page, "h2", "forward")
    text, (patch, kernel, products), _ = point(page, "h2", *place)
    window = padded(a["m1"][0])[y : y + 3, x : x + 3]
    bias = f"{'−' if a['b2'][k] < 0 else '+'} {abs(digits(a['b2'][k]))}"
    assert text.startswith(f"h2[0, {y}, {x}, {k}] = Σ over 32 channels of m1 × w2 {bias} (b2) = ")
    assert np.array_equal(patch, digits(window[..., 0])) and np.array_equal(kernel, digits(a["w2"][:, :, 0, k]))
    unit = 0.005 * np.abs(patch * kernel).max()
    np.testing.assert_allclose(products, window[..., 0] * a["w2"][:, :, 0, k], atol=1.5 * unit)
    assert (
        abs(number(text.split("sum ")[1].split()[0]) - np.sum(window[..., 0] * a["w2"][:, :, 0, k])) < 3 * unit + 1e-12
    )
    total = np.sum(window * a["w2"][..., k]) + a["b2"][k]
    assert abs(last(text.split(" m1, channel 0")[0]) - total) <= 1e-3 * abs(total) + 1e-6


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_gradient_of_an_input_pixel_is_the_sum_over_the_pixels_that_it_served(cnn, place):
    page, a = cnn
    y, x, c = place
    go(page, "h2", "backward")
    text, tables, _ = point(page, "g_m1", *place)
    served = padded(a["g_h2"][0])[y : y + 3, x : x + 3]  # of output pixels above and left, so the kernel is turned
    turned = a["w2"][::-1, ::-1, c]
    assert text.startswith(f"g_m1[0, {y}, {x}, {c}] = Σ over 64 filters of g_h2 × w2 = ")
    total = np.sum(served * turned)
    assert abs(last(text.split(" g_h2, filter 0")[0]) - total) <= 1e-3 * abs(total) + 1e-9
    inside = [slice(int(v == 0), 3 - int(v == 15)) for v in (y, x)]
    assert np.array_equal(tables[0], digits(served[(*inside, 0)])) and np.array_equal(
        tables[1], digits(turned[(*inside, 0)])
    )


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_the_largest_pixel_of_a_window_wins_and_gets_the_gradient(cnn, place):
    page, a = cnn
    y, x, c = place
    go(page, "m1", "forward")
    text, (window,), won = point(page, "m1", *place)
    here = a["r1"][0, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2, c]
    assert (
        np.array_equal(window, digits(here)) and last(text) == digits(here.max()) and won.index(True) == here.argmax()
    )
    go(page, "m1", "backward")
    for i, j in np.ndindex(2, 2):
        text, (window,), won = point(page, "g_r1", 2 * y + i, 2 * x + j, c)
        wins, came = here.argmax() == 2 * i + j, f"{digits(a['g_m1'][0, y, x, c])}".replace("-", "−")
        assert np.array_equal(window, digits(here)) and won.index(True) == here.argmax()  # with whom it competed
        says = "is the largest: it gets" if wins else "is not the largest: it gets nothing of"
        assert f"r1[0, {2 * y + i}, {2 * x + j}, {c}] = {digits(here[i, j]):g} {says} g_m1[0, {y}, {x}, {c}] = " in text
        assert float(text.rpartition(" = ")[2].replace("−", "-")) == float(came.replace("−", "-"))


def test_the_gradient_of_a_weight_names_the_part_of_image_0(cnn):
    page, a = cnn
    page.evaluate("Object.keys(chosen).forEach((id) => delete chosen[id])")  # other tests have pointed at some
    go(page, "h2", "backward")
    assert re.search(r"sum over (the [\d,]+ numbers|[\d,]+ of 1,024 places)", page.inner_text("#formulas"))
    for i, j, c in [(0, 0, 0), (1, 2, 5), (2, 1, 3)]:
        text, _, _ = point(page, "g_w2", i, j, c)
        k = int(text.split("]")[0].split(", ")[3])
        part = np.sum(padded(a["m1"][0])[i : i + 16, j : j + 16, c] * a["g_h2"][0, :, :, k])
        labels = page.evaluate("scene.map((entry) => entry.pane.getAttribute('aria-label'))")
        assert any(label.startswith(f"g_w2: filter {k} (0 to ") for label in labels) and ": ." not in str(labels)
        assert text.startswith(f"g_w2[{i}, {j}, {c}, {k}] = Σ over 1,024 places (4 images × 256) of m1 × g_h2 = ")
        assert number(text.split("All 256: ")[1].split(",")[0]) == pytest.approx(part, rel=1e-2, abs=1e-6)
        assert number(text.split("With the other 3 images: ")[1].split(",")[0]) == digits(a["g_w2"][i, j, c, k])


def test_a_pixel_of_either_side_selects_the_number_of_the_kernel_in_card_and_formula(cnn):
    page, _ = cnn
    go(page, "h2", "backward")
    for name, place in ("g_h2", (5, 9, 3)), ("m1", (2, 1, 3)), ("g_w2", (0, 2, 5)):
        text, _, _ = point(page, name, *place)
        label = text.split(" = ")[0]
        assert label.startswith("g_w2[") and f"{label} = " in page.inner_text("#formulas")


def test_the_window_of_a_kernels_gradient_moves_by_pointer_and_keys(cnn):
    page, a = cnn
    go(page, "h2", "backward")
    assert page.evaluate("scene[2].name") == "g_w2"
    parts = "#where", "#sentence", "#sum", "#formulas", "#code"  # as at all other steps
    below = [page.locator(part).bounding_box()["y"] for part in parts]
    assert below == sorted(below)
    point(page, "g_w2", 2, 1, 4)
    at = page.evaluate("at")
    for way in "g_h2", "ArrowRight", "ArrowUp", "slider":
        if way == "g_h2":
            text, tables, won = point(page, way, 5, 9, 3)
        elif way == "slider":
            page.focus("#walker")
            page.keyboard.press("ArrowLeft")
            text, tables, won = said(page)
        else:
            page.evaluate("spot.entry.pane.focus()")
            page.keyboard.press(way)
            text, tables, won = said(page)
        y, x = {"g_h2": (5, 9), "ArrowRight": (5, 10), "ArrowUp": (4, 10), "slider": (4, 9)}[way]
        patch, g = padded(a["m1"][0])[y : y + 3, x : x + 3, 4], a["g_h2"][0, y, x, 3]
        assert page.inner_text("#found h3") == "row 2, column 1, channel 4, filter 3" and page.evaluate("at") == at
        assert f"Row {y}, column {x} is one of 256 places: " in text and won.index(True) == 2 * 3 + 1
        assert np.array_equal(tables[0], digits(patch)) and tables[1] == digits(g)
        np.testing.assert_allclose(tables[2], patch * g, atol=0.01 * np.abs(patch * g).max() + 1e-12)
    point(page, "m1", 7, 7, 4)  # a pixel: the place at which it meets this number of the kernel
    assert "Row 6, column 7 is one of" in said(page)[0]


def test_the_places_add_up_to_that_number(opened):
    rng = np.random.default_rng(1)
    w, x = ag.Tensor(rng.normal(size=(2, 2, 1, 1)), True, "w"), rng.normal(size=(1, 4, 4, 1)).round(2)
    page = opened(ag.trace(lambda x: ag.sum(ag.tanh(ag.conv2d(x, w, stride=2))), x).page())
    page.evaluate("show(facts.steps.findIndex((s) => s.kind === 'backward' && op(s).reach?.kernel))")
    total = page.evaluate(
        "Number(value(op(facts.steps[at]).reach.w).gradient.elements[spot.entry.shape[3] * spot.y + spot.x])"
    )
    page.focus("#walker")
    page.keyboard.press("Home")
    sums = []
    for _ in range(4):
        sums.append(number(said(page)[0].split("Added up to here: ")[1].split(". All")[0]))
        page.keyboard.press("ArrowRight")
    terms = page.evaluate("places.terms")
    assert sums == pytest.approx(list(np.cumsum(terms)), rel=6e-3) and sums[-1] == pytest.approx(total, rel=6e-3)
    assert f"All 4: {digits(total):g}".replace("-", "−") in said(page)[0]
    page.evaluate("show(at - 1)")
    assert page.is_hidden("#walker")


def test_relu_lets_through_what_is_positive(cnn):
    page, a = cnn
    go(page, "r1", "forward")
    for y, x, c in PLACES:
        point(page, "r1", y, x, c)
        h, formula = a["h1"][0, y, x, c], page.locator("#formulas section").first.inner_text()
        assert f"r1[0, {y}, {x}, {c}] = relu({digits(h)})".replace("-", "−") in formula
        assert ("so it passes: slope 1" in formula) == (h > 0) and ("blocked: slope 0" in formula) == (h <= 0)


def test_arrow_keys_move_the_pixel_and_not_the_step(cnn):
    page, _ = cnn
    go(page, "h2", "forward")
    point(page, "h2", 5, 15, 3)
    page.evaluate("spot.entry.pane.focus()")
    at = page.evaluate("at")
    for key, place in (
        ("ArrowLeft", "5, 14, 3"),
        ("ArrowDown", "6, 14, 3"),
        ("ArrowRight", "6, 15, 3"),
        ("ArrowRight", "6, 0, 4"),
    ):
        page.keyboard.press(key)
        assert said(page)[0].startswith(f"h2[0, {place}] = ") and page.evaluate("at") == at


def test_the_place_stays_at_another_moment_of_the_training(opened):
    w = ag.Tensor(np.arange(9.0).reshape(3, 3, 1, 1), True, "w")

    def f(x):
        h = ag.conv2d(x, w, padding=1)
        return ag.sum(h * h)

    x = np.arange(36.0).reshape(1, 6, 6, 1)
    first = ag.trace(f, x)
    w.data = 2 * w.data
    page = opened(first.page([("later", ag.trace(f, x))], images=[np.zeros((8, 8, 3)), np.full((8, 8, 3), 255)]))
    go(page, "h", "forward")
    before = last(point(page, "h", 2, 1)[0].split(" x, channel")[0])
    pictures = [page.get_attribute("#frames img", "src")]
    page.locator("#frame").evaluate("(slider) => { slider.value = 1; slider.dispatchEvent(new Event('input')); }")
    text = said(page)[0]
    assert text.startswith("h[0, 2, 1, 0] = ") and last(text.split(" x, channel")[0]) == 2 * before
    assert pictures[0] != page.get_attribute("#frames img", "src") and page.locator("#frames img").count() == 1


def test_a_tap_points(opened, cnn):
    page = cnn[0]
    go(page, "m1", "forward")
    page.evaluate(
        """() => { const { pane } = scene.at(-1);
        const [clientX, clientY] = [pane.getBoundingClientRect().left + 3, pane.getBoundingClientRect().top + 3];
        pane.dispatchEvent(new PointerEvent("pointerdown", { pointerType: "touch", clientX, clientY })); }"""
    )
    assert said(page)[0].startswith("m1[0, 0, 0, 0] = ")


@pytest.mark.parametrize("seed", range(6))
def test_sums_of_random_options_are_those_of_the_call(opened, seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 2]))
    options = {
        "stride": tuple(map(int, rng.integers(1, 3, 2))), "dilation": tuple(map(int, rng.integers(1, 3, 2))),
        "padding": tuple(map(int, rng.integers(0, 3, 2))), "groups": groups,
    }  # fmt: skip
    call = (ag.conv2d, ag.conv_transpose2d)[seed % 2]
    kernel = rng.normal(size=(*map(int, rng.integers(1, 4, 2)), 4 // groups, 4))
    x, w = (ag.Tensor(a, True, name) for name, a in (("x", rng.normal(size=(1, 7, 6, 4))), ("w", kernel)))
    made = seed % 3 == 0  # a kernel that is computed

    def f(x, w):
        h = call(x, ag.tanh(w) if made else w, **options)
        return ag.sum(h * h)

    page = opened(ag.trace(f, x, w).page())
    used = ag.Tensor(np.tanh(kernel) if made else kernel, True)
    h = call(x, used, **options)
    ag.sum(h * h).backward()
    for way, name, array in ("forward", "h", h.data), ("backward", "g_x", x.grad):
        go(page, "h", way)
        for place in (0, 0, 0), (2, 1, 3), (9, 9, 1):
            y, across, c = (min(k, n - 1) for k, n in zip(place, array.shape[1:], strict=True))
            sums = 0.0
            for other in range(4):  # the channels of the other side, one after the other
                shown = page.evaluate(
                    """([name, y, x, c, other]) => { channel.fine = channel.coarse = other;
                    const entry = scene.find((entry) => entry.name === name); point(entry, c, y, x);
                    return channel[entry.side === "fine" ? "coarse" : "fine"]; }""",
                    [name, y, across, c, other],
                )
                tables = said(page)[1]
                if shown == other and tables:  # if not, it is of another group
                    sums += np.sum(tables[0] * tables[1])
            assert sums == pytest.approx(array[0, y, across, c], rel=1e-2, abs=1e-2)
    found = page.evaluate("""() => {
        const [, depth, high, wide] = scene.find((entry) => entry.side === "w" && entry.gradient).shape;
        return [0, 1, 2, 3].map((k) => Array.from({ length: depth * high * wide }, (_, i) => {
            channel.coarse = k;
            const entry = scene.find((entry) => entry.side === "w" && entry.gradient);
            point(entry, Math.floor(i / (high * wide)), Math.floor(i / wide) % high, i % wide);
            return places.terms.reduce((sum, term) => sum + term, 0);
        })); }""")
    wanted = np.transpose(used.grad, (3, 2, 0, 1)).reshape(4, -1)
    np.testing.assert_allclose(found, wanted, rtol=5e-3, atol=5e-3 * np.abs(wanted).max())
