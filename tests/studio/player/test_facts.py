"""The script reads the facts by the names of the schema, all of them and no others."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.studio.player import page, schema
from studio.player.test_walk import CONTROLS, LIVE, live_page, traced

# Wraps the parsed facts, and notes what is read of each record, but for what the script itself has put there
WATCHED = """
const wrapped = new WeakMap(), parsed = JSON.parse;
window.fields = new Set();
JSON.parse = (text) => wrap(parsed(text));
const wrap = (thing) => {
  if (typeof thing !== "object" || thing === null) return thing;
  if (wrapped.has(thing)) return wrapped.get(thing);
  const made = new Set();
  const proxy = new Proxy(thing, {
    get(target, name, receiver) {
      if (target.record && typeof name === "string" && !made.has(name)) window.fields.add(target.record + "." + name);
      return made.has(name) ? target[name] : wrap(target[name]);
    },
    set(target, name, value) {
      window.fields.delete(target.record + "." + name); // read to see whether it is there
      made.add(name);
      target[name] = value;
      return true;
    },
  });
  wrapped.set(thing, proxy);
  return proxy;
};
"""
PYTHONS = {"Update.rates", "Version.line"}  # that only Python reads


@pytest.mark.slow
def test_the_script_reads_the_fields_of_the_schema_and_no_others(browser, tmp_path, monkeypatch):
    plain_data = schema.plain_data

    def marked(thing):
        data = plain_data(thing)
        return data | {"record": type(thing).__name__} if is_dataclass(thing) else data

    for module in (schema, page):
        monkeypatch.setattr(module, "plain_data", marked)
    texts = [live_page(name) for name in LIVE]
    texts.append(traced(lambda x: x @ ag.tanh(x), np.ones((2, 3))))  # fails
    read, context = set(), browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    for k, text in enumerate(texts):
        (tmp_path / f"{k}.html").write_text(text, encoding="utf-8")
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.add_init_script(WATCHED)
        tab.goto((tmp_path / f"{k}.html").as_uri())
        tab.wait_for_selector("body.ready")
        tab.evaluate(CONTROLS)
        read |= set(tab.evaluate("[...window.fields]"))
    context.close()
    records = [thing for thing in vars(schema).values() if is_dataclass(thing)]
    assert read ^ {f"{r.__name__}.{f.name}" for r in records for f in fields(r)} == PYTHONS
