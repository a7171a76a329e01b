"""The figures of scripts/measure_store as a table and as a plot, in docs/."""
import html, math, os, statistics

BEGIN, END = "<!-- scripts/measure store writes from here -->", "<!-- to here -->"
SHOWN = {"disk": "disk", "passthrough": "pass-through", "gocryptfs": "gocryptfs", "workspace": "workspace", "secrets": "secrets"}
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .quiet { fill: #59636e; font-size: 12px }
    .line { stroke: #d1d9e0 } .one { stroke: #59636e } .target { stroke: #cf222e; stroke-width: 2 }
    .workspace { fill: #0969da } .secrets { fill: #bf8700 } .passthrough { fill: #afb8c1 }
    .page { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .quiet { fill: #9198a1 }
      .line { stroke: #30363d } .one { stroke: #9198a1 } .target { stroke: #ff7b72 }
      .workspace { fill: #4493f8 } .secrets { fill: #d29922 } .passthrough { fill: #656c76 }
      .page { fill: #0d1117 }
    }"""
BARS = ("workspace", "secrets", "passthrough")


def ratio(result, kind, work):
    """How much better than gocryptfs in the same runs; None where one of them was not measured."""
    ours, theirs = (result["values"].get(name, {}).get(work) for name in (kind, "gocryptfs"))
    if not ours or not theirs:
        return None
    more_is_better = result["works"][work][1]
    quotient = statistics.median(ours) / statistics.median(theirs)
    return quotient if more_is_better else 1 / quotient


def number(value):
    """Three digits that count."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{digits}f}".replace(",", " ")


def spread(values):
    return f"{number(statistics.median(values))} ({number(min(values))}–{number(max(values))})" if values else "–"


def times(value):
    return f"{value:.1f} ×" if value else "–"


def table(result):
    """Medians, spreads, ratios and targets, as Markdown."""
    values = result["values"]
    kinds = [kind for kind in SHOWN if kind in values]
    lines = ["| work | unit | " + " | ".join(SHOWN[kind] for kind in kinds) + " | workspace : gocryptfs | target | secrets : gocryptfs | target |",
             "|---|---|" + "---|" * (len(kinds) + 4)]
    for work, (unit, _, target, target_of_secrets) in result["works"].items():
        cells = [spread(values[kind].get(work)) for kind in kinds]
        ours = [times(ratio(result, "workspace", work)), f"≥ {target} ×" if target else ""]
        theirs = [times(ratio(result, "secrets", work)), f"≥ {target_of_secrets} ×" if target_of_secrets else ""]
        lines.append("| " + " | ".join([work, unit, *cells, *ours, *theirs]) + " |")
    lines.append(f"\nMedian of {result['runs']} alternating runs, with the least and the greatest value.\n")
    opened, synced = values["durable"]["open, read, close"], values["durable"]["the disk's fdatasync"]
    share = statistics.median(opened) / statistics.median(synced)
    lines.append(f"Kind `secrets` with records durable before the open succeeds (the default): {spread(opened)} µs; "
                 f"the disk's own fdatasync of one record: {spread(synced)} µs; {share:.2f} × (target ≤ 1.3 ×).")
    if result["unlock"]:
        lines.append(f"\nUnlock and mount of a `workspace` vault with {number(result['files'])} files: "
                     f"{spread(result['unlock']['seconds'])} s (target ≤ 1 s), "
                     f"{spread(result['unlock']['bytes'])} bytes of memory a file (target ≤ 300).")
    return "\n".join(lines)


def svg(result):
    """Bars of the ratio to gocryptfs on a logarithmic scale, one group for each work."""
    works = [work for work in result["works"] if any(ratio(result, kind, work) for kind in BARS)]
    kinds = [kind for kind in BARS if kind in result["values"]]
    left, width, bar, gap, top = 290, 560, 11, 16, 64
    group = len(kinds) * (bar + 2) + gap
    height = top + group * len(works) + 24
    ratios = [value for work in works for kind in kinds if (value := ratio(result, kind, work))]
    low, high = math.floor(math.log2(min(ratios + [0.5]))), math.ceil(math.log2(max(ratios + [8])))
    across = lambda value: left + width * (math.log2(value) - low) / (high - low)
    page = left + width + 70
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {page} {height}" role="img" '
             f'aria-label="Speed of the store relative to gocryptfs">', f"<style>{STYLE}\n</style>",
             f'<rect class="page" width="{page}" height="{height}"/>',
             '<text x="16" y="24" font-weight="600">Speed relative to gocryptfs, same run, same disk (more is better)</text>']
    place = 16
    for kind in kinds:
        parts.append(f'<rect class="{kind}" x="{place}" y="35" width="12" height="12"/>'
                     f'<text class="quiet" x="{place + 17}" y="45">{SHOWN[kind]}</text>')
        place += 110
    parts.append(f'<path class="target" d="M{place + 6} 34v14"/><text class="quiet" x="{place + 17}" y="45">target</text>')
    for power in range(low, high + 1):
        parts.append(f'<path class="{"one" if power == 0 else "line"}" d="M{across(2.0 ** power):.1f} {top}V{height - 24}"/>'
                     f'<text class="quiet" text-anchor="middle" x="{across(2.0 ** power):.1f}" y="{height - 8}">{2.0 ** power:g} ×</text>')
    for row, work in enumerate(works):
        upper = top + row * group + gap / 2
        middle = upper + (group - gap) / 2
        parts.append(f'<text text-anchor="end" x="{left - 10}" y="{middle + 4:.1f}">{html.escape(work)}</text>')
        targets = {"workspace": result["works"][work][2], "secrets": result["works"][work][3]}
        for line, kind in enumerate(kinds):
            value, y = ratio(result, kind, work), upper + line * (bar + 2)
            if value:
                start, end = sorted((across(1), across(value)))
                parts.append(f'<rect class="{kind}" x="{start:.1f}" y="{y:.1f}" width="{max(1, end - start):.1f}" height="{bar}"/>'
                             f'<text class="quiet" x="{max(end, across(1)) + 5:.1f}" y="{y + 10:.1f}">{value:.1f}</text>')
            if targets.get(kind):
                parts.append(f'<path class="target" d="M{across(targets[kind]):.1f} {y - 2:.1f}v{bar + 4}"/>')
    return "\n".join([*parts, "</svg>\n"])


def write(result, repository):
    """Replaces what stands between the marks in docs/performance.md, and the plot."""
    with open(f"{repository}/docs/performance.md") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open("/proc/cpuinfo") as file:
        processor = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    where = f"{processor}, {os.cpu_count()} cores, Linux {os.uname().release.split('-')[0]}."
    with open(f"{repository}/docs/performance.md", "w") as file:
        file.write(f"{before}{BEGIN}\n\n{where}\n\n{table(result)}\n\n{END}{after}")
    with open(f"{repository}/docs/performance.svg", "w") as file:
        file.write(svg(result))
