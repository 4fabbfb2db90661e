"""The script reads the facts of a page by the names that Python writes, all of them and no others."""

import numpy as np
import pytest

import autograd_cnn as ag
from studio.pages import facts_of
from studio.player.test_walk import CONTROLS, LIVE, live_page, traced

KINDS = {"array": "look", "gradient": "look", "parts": "look", "won": "maps"}  # a record has the name of what holds it
BY_ID = {"values", "overlays", "boxes", "folded", "numbers"}  # hold others, by their ids
PYTHONS = {"update.rates", "versions.line", "quiz.given"}  # that only Python reads

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
        x = ag.tanh(x)
    return ag.sum(x)


@pytest.mark.slow
def test_the_script_reads_what_python_writes_and_nothing_else(browser, tmp_path):
    texts = [live_page(name) for name in LIVE]
    texts.append(traced(lambda x: x @ ag.tanh(x), np.ones((2, 3))))  # fails
    texts.append(traced(lambda x: ag.sum(ag.log(x)), np.array([0.0, 1.0])))  # is not finite
    graph = ag.trace(loop, np.ones(2))
    texts.append(graph.page([("later", graph)], images=[np.zeros((1, 1, 3))] * 2))
    read, written = set(), set()
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    for k, text in enumerate(texts):
        (tmp_path / f"{k}.html").write_text(text, encoding="utf-8")
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.add_init_script(WATCHED)
        tab.goto((tmp_path / f"{k}.html").as_uri())
        tab.wait_for_selector("body.ready")
        tab.evaluate(CONTROLS)
        read |= set(tab.evaluate("[...window.fields]"))
        written |= fields(facts_of(text))
    context.close()
    assert read ^ written == PYTHONS
