"""Every control works at every step, and the script reads the facts by the names that Python writes, all of them."""

from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.live.page import EXAMPLES
from studio.pages import facts_of, load
from studio.player.test_walk import live_page, random_pages, traced

CONTROLS = (Path(__file__).parent / "controls.js").read_text(encoding="utf-8")

# a record has the name of what holds it
KINDS = {"array": "look", "gradient": "look", "term": "look", "parts": "look", "won": "maps"}
BY_ID = {"values", "rows", "tried", "moves"}  # hold others, by their ids
PYTHONS = {"quiz.given", "ops.forward"}  # that only Python reads

# Wraps the parsed facts, and notes what is read of each record, but for what the script itself has put there
WATCHED = """
window.fields = new Set();
const [parsed, wrapped, kinds, byId] = [JSON.parse, new WeakMap(), KINDS, BY_ID];
JSON.parse = (text) => wrap(parsed(text), "page");
const wrap = (thing, kind) => {
  if (typeof thing !== "object" || thing === null) return thing;
  if (wrapped.has(thing)) return wrapped.get(thing);
  const [plain, made] = [Array.isArray(thing) || byId.includes(kind), new Set()];
  const proxy = new Proxy(thing, {
    get(target, name) {
      if (!plain && typeof name === "string" && !made.has(name)) window.fields.add(`${kind}.${name}`);
      const inner = Array.isArray(thing) ? kind : plain ? "in " + kind : kinds[name] || name;
      return made.has(name) ? target[name] : wrap(target[name], inner);
    },
    set(target, name, value) {
      window.fields.delete(`${kind}.${name}`); // read to see whether it is there
      made.add(name);
      target[name] = value;
      return true;
    },
  });
  wrapped.set(thing, proxy);
  return proxy;
};
""".replace("KINDS", str(KINDS)).replace("BY_ID", str(sorted(BY_ID)))


def fields(thing, kind="page"):
    """The names in a page's facts: of a record with its kind, ``look.size``."""
    if isinstance(thing, list):
        return {name for part in thing for name in fields(part, kind)}
    if not isinstance(thing, dict):
        return set()
    if kind in BY_ID:
        return {name for part in thing.values() for name in fields(part, f"in {kind}")}
    inner = {name for key, part in thing.items() for name in fields(part, KINDS.get(key, key))}
    return inner | {f"{kind}.{key}" for key in thing}


def loop(x):
    for _ in range(3):
        x = ag.tanh(x) * 2.0
    return ag.sum(x)


@pytest.mark.slow
def test_every_control_is_used_and_the_script_reads_what_python_writes(browser, tmp_path):
    texts = [live_page(name) for name in EXAMPLES]
    texts.append(traced(lambda x: x @ ag.tanh(x), np.ones((2, 3))))  # fails
    texts.append(traced(lambda x: ag.sum(ag.log(x)), np.array([0.0, 1.0])))  # is not finite
    texts.append(traced(lambda x: ag.sum(ag.softmax(x) ** 2), np.ones((2, 3))))  # has sums over rows
    graph = ag.trace(loop, np.ones(2))
    texts.append(graph.page([("later", graph)], images=[np.zeros((1, 1, 3))] * 2))
    texts += [text for _, text, _ in random_pages(range(8))]
    read, written, used, logged = set(), set(), 0, []
    context = browser.new_context(viewport={"width": 800, "height": 800}, offline=True)
    context.on("console", lambda message: logged.append(message.text))
    context.on("weberror", lambda error: logged.append(str(error.error)))
    context.add_init_script(WATCHED)
    for text in texts:
        page = load(context, tmp_path / "page.html", text)
        count, wide, _ = page.evaluate(CONTROLS)
        assert not logged and wide <= 0, text
        used += count
        read |= set(page.evaluate("[...window.fields]"))
        written |= fields(facts_of(text))
        page.close()
    context.close()
    assert read ^ written == PYTHONS and used > 1000
