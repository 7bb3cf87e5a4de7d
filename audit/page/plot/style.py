"""What the charts look like; colours are the variables of the page."""

from __future__ import annotations

CSS = """
.plot{container-type:inline-size;margin:.5rem 0}
.plot svg{display:block;width:100%;height:auto;overflow:visible}
.plot-wide{max-width:52rem}
.plot-narrow{display:none;max-width:30rem}
@container (max-width:35rem){.plot-wide{display:none}.plot-narrow{display:block}}
.plot text{font-family:inherit;font-size:12px;fill:var(--ink);font-variant-numeric:tabular-nums}
.plot .p-quiet{fill:var(--muted)}
.plot .p-small{font-size:11px}
.plot .p-head{font-weight:600}
.plot .p-halo{stroke:var(--paper);stroke-width:4px;stroke-linejoin:round;paint-order:stroke}
.plot .p-end{text-anchor:end}
.plot .p-mid{text-anchor:middle}
.plot .p-grid{stroke:var(--line);stroke-width:1;fill:none}
.plot .p-axis{stroke:var(--muted);stroke-width:1;fill:none}
.plot .p-zero{stroke:var(--ink);stroke-width:1.2;fill:none}
.plot .p-limit{stroke:var(--muted);stroke-width:1.2;stroke-dasharray:5 3;fill:none}
.plot .p-band{fill:var(--muted);opacity:.2}
.plot .p-band-mid{stroke:var(--muted);stroke-width:1.6;fill:none}
.plot .p-zone{fill:var(--pass);opacity:.1}
.plot .p-run{fill:var(--ink);opacity:.5}
.plot .p-span{stroke:var(--c,var(--ink));stroke-width:2;fill:none}
.plot .p-thin{stroke-width:1.1;opacity:.65}
.plot .p-line{stroke:var(--c,var(--ink));stroke-width:1.8;fill:none}
.plot .p-mark{fill:var(--c,var(--ink));stroke:var(--c,var(--ink));stroke-width:1.6}
.plot .p-hollow{fill:var(--paper)}
.plot .p-pass{--c:var(--pass)}
.plot .p-warn{--c:var(--warn)}
.plot .p-fail{--c:var(--fail)}
.plot .p-unclear{--c:var(--unclear)}
.plot .p-plain{--c:var(--ink)}
.plot .p-faint{--c:var(--muted)}
.plot .p-g1{--c:var(--g1)}
.plot .p-g2{--c:var(--g2)}
.plot .p-g3{--c:var(--g3)}
.plot .p-g4{--c:var(--g4)}
.plot .p-g5{--c:var(--g5)}
.plot .p-g6{--c:var(--g6)}
@media print{.plot{container-type:normal;break-inside:avoid}.plot .p-band,.plot .p-zone{print-color-adjust:exact}}
"""
