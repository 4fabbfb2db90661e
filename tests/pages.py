"""Reads the facts that the page of a player contains."""

import base64
import json
import re
import zlib


def facts_of(html):
    kind, data = re.search(r'<script type="application/(.*?)" id="facts">(.*?)<', html, re.DOTALL).groups()
    return json.loads(data if kind == "json" else zlib.decompress(base64.b64decode(data)))
