// Draws every .chart from its data-figure, in the page's own colours, and lights the turn a mark speaks of.
(() => {
  const DARK = {
    '#0f7268': '#5cc4b5', '#b3123e': '#ff8fa6', '#66797d': '#8ea5a9', '#9fb0b3': '#5f787c', '#12262a': '#e6eeee',
    '#4453a8': '#a5b2ff', '#9c4708': '#f2b15d', '#566b6f': '#91a5a9', '#e3e9e9': '#22363a', '#d9e0e1': '#25383c',
    'rgba(15,114,104,0.13)': 'rgba(92,196,181,0.16)', 'rgba(179,18,62,0.11)': 'rgba(255,143,166,0.15)',
    'rgba(102,121,125,0.10)': 'rgba(142,165,169,0.12)', 'rgba(159,176,179,0.12)': 'rgba(95,120,124,0.18)',
    'rgba(68,83,168,0.11)': 'rgba(165,178,255,0.15)', 'rgba(156,71,8,0.11)': 'rgba(242,177,93,0.15)',
  };
  const dark = () => document.body.classList.contains('dark');
  const coloured = (text) => dark() ? Object.entries(DARK).reduce((t, [light, d]) => t.replaceAll(light, d), text) : text;
  const drawn = new Map();

  function draw(chart) {
    const text = coloured(chart.dataset.figure);
    if (!window.Plotly || drawn.get(chart) === text || !chart.isConnected || !chart.offsetWidth) return;
    drawn.set(chart, text);
    const figure = JSON.parse(text);
    Plotly.react(chart, figure.data, figure.layout, { displayModeBar: false, responsive: true }).then(() => {
      chart.removeAllListeners('plotly_click');
      chart.on('plotly_click', (event) => chart.dispatchEvent(
        new CustomEvent('pick', { bubbles: true, detail: { step: event.points[0].customdata ?? event.points[0].x } })));
    });
  }

  let due = false;
  const scan = () => {  // once a frame, however much has changed in it
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      for (const chart of drawn.keys()) if (!chart.isConnected) { Plotly.purge(chart); drawn.delete(chart); }
      document.querySelectorAll('.chart[data-figure]').forEach(draw);
    });
  };
  const light = (mark, on) => {
    const turn = mark.closest('.sheet')?.querySelector(`.turns li:nth-child(${Number(mark.dataset.turn) + 1})`);
    turn?.classList.toggle('lit', on);
  };
  const watch = (event, on) => document.addEventListener(event, (e) => {
    const mark = e.target.closest?.('.mark[data-turn]');
    if (mark) light(mark, on);
  });
  [['mouseover', true], ['mouseout', false], ['focusin', true], ['focusout', false]].forEach(([event, on]) => watch(event, on));

  // The published page: a point leads to its checkpoint, arrows move along the rows, Enter opens one.
  const published = () => 'auto' in document.body.dataset;
  document.addEventListener('pick', (event) => {
    const select = published() && document.querySelector('.controls select[name=step]');
    if (!select) return;
    select.value = event.detail.step;
    select.form.requestSubmit();
  });
  document.addEventListener('keydown', (event) => {
    const row = published() && event.target.closest?.('tr[data-pick]');
    if (!row) return;
    if (event.key === 'Enter') row.querySelector('a').click();
    const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (next) { event.preventDefault(); row.tabIndex = -1; next.tabIndex = 0; next.focus(); }
  });

  const start = () => {
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => { if ('auto' in document.body.dataset) document.body.classList.toggle('dark', scheme.matches); scan(); };
    scheme.addEventListener('change', follow);
    new MutationObserver(scan).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ['class', 'style', 'data-figure'] });
    follow();
    window.addEventListener('load', scan);
    window.addEventListener('resize', scan);
  };
  document.body ? start() : addEventListener('DOMContentLoaded', start);
})();
