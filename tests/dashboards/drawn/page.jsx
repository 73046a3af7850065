// Draws a whole dashboard on Grafana's grid: `await draw({dashboard, answers, from, to, theme, left, folded})`.
// The browser's page that Python opens. It sends no request: *answers* are those of Prometheus, by panel id and refId.
import { Component } from 'react';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import { dateTime, getThemeById, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { framesOf } from './frames.js';
import { Content } from './panels.jsx';

const [COLUMNS, CELL, GAP, EDGE, ROW] = [24, 30, 8, 16, 32];

// What is written on each canvas: the axes of graphs have no other text.
const written = new WeakMap();
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  written.set(this.canvas, (written.get(this.canvas) ?? new Set()).add(text));
  return fillText.call(this, text, ...rest);
};

window.draw = async ({ dashboard, answers, from, to, theme: name, left, folded }) => {
  const theme = getThemeById(name);
  await Promise.all(['400', '500'].map((weight) => document.fonts.load(`${weight} 14px Inter`)));
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000) };
  range.raw = { from: range.from, to: range.to };
  const panels = dashboard.panels.flatMap((panel) => [panel, ...(folded ? [] : panel.panels ?? [])]);
  const shown = [];
  for (const panel of panels) {
    const frames = panel.type === 'row' ? [] : await framesOf(panel, answers[panel.id], name);
    shown.push({ panel, frames });
  }
  document.body.style.margin = 0;
  const root = createRoot(document.getElementById('page'));
  flushSync(() => root.render(<Dashboard {...{ dashboard, shown, range, theme, left }} />));
  await document.fonts.ready;
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)));
  return panels.filter((panel) => panel.type !== 'row').map((panel) => (seen(panel)));
};

function Dashboard({ dashboard, shown, range, theme, left }) {
  const width = window.innerWidth - left - 2 * EDGE;
  const column = (width + GAP) / COLUMNS;
  const place = ({ x, y, w, h }) => ({
    position: 'absolute',
    left: x * column,
    top: y * (CELL + GAP),
    width: w * column - GAP,
    height: h * (CELL + GAP) - GAP,
  });
  const bottom = Math.max(...shown.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  const background = theme.colors.background.canvas;
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ paddingLeft: left + EDGE, paddingTop: EDGE, background, height: bottom * (CELL + GAP) + 3 * ROW }}>
        <div data-title style={{ ...theme.typography.h4, color: theme.colors.text.primary, height: ROW }}>
          {dashboard.title}
        </div>
        <div style={{ position: 'relative' }}>
          {shown.map(({ panel, frames }) => (
            <div key={panel.id} id={`panel-${panel.id}`} style={place(panel.gridPos)}>
              <Guard>{panel.type === 'row' ? <Title {...{ panel, theme }} /> : <Panel {...{ panel, frames, range, theme, size: place(panel.gridPos) }} />}</Guard>
            </div>
          ))}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

function Title({ panel, theme }) {
  return <div style={{ ...theme.typography.h5, color: theme.colors.text.primary }}>{panel.title}</div>;
}

function Panel({ panel, frames, range, theme, size }) {
  return (
    <PanelChrome title={panel.title} description={panel.description} width={size.width} height={size.height} padding="md">
      {(width, height) => (
        <div data-content style={{ width, height }}>
          <Guard>
            <Content {...{ panel, frames, range, theme, width, height }} />
          </Guard>
        </div>
      )}
    </PanelChrome>
  );
}

class Guard extends Component {
  state = {};
  static getDerivedStateFromError(error) {
    return { error };
  }
  render() {
    return this.state.error ? <pre data-error>{String(this.state.error.stack)}</pre> : this.props.children;
  }
}

// What a person sees of one panel: its words, whether each is whole, and the colour of the value.
function seen(panel) {
  const box = document.getElementById(`panel-${panel.id}`);
  const texts = textsIn(box);
  const first = texts.find(({ node }) => node.parentElement.closest('[data-content]'));
  return {
    id: panel.id,
    title: panel.title,
    type: panel.type,
    error: box.querySelector('[data-error]')?.textContent ?? null,
    is_empty: box.querySelector('[data-empty]') !== null,
    texts: texts.map(({ node }) => node.textContent),
    value: texts.filter(({ node }) => node.parentElement.closest('[data-content]')).map(({ node }) => node.textContent).join(''),
    cut: texts.filter(isCut).map(({ node }) => node.textContent),
    color: first ? getComputedStyle(first.node.parentElement).color : null,
    axes: [...box.querySelectorAll('canvas')].flatMap((canvas) => [...(written.get(canvas) ?? [])]),
    header: [...box.querySelectorAll('[role=columnheader]')].map(({ textContent }) => textContent),
    rows: [...box.querySelectorAll('[role=row]')].map((row) => [...row.querySelectorAll('[role=gridcell]')].map(cell)).filter((row) => row.length),
    scrolls: [...box.querySelectorAll('[role=grid]')].some((grid) => grid.scrollWidth > grid.clientWidth + 1),
    legend: [...box.querySelectorAll('tbody tr')].map((row) => [...row.cells].map(({ textContent }) => textContent)),
  };
}

function cell(box) {
  const text = textsIn(box)[0];
  return { text: box.textContent, is_cut: text ? isCut(text) : false, color: text ? getComputedStyle(text.node.parentElement).color : null };
}

function textsIn(box) {
  const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const { left, right, width } = range.getBoundingClientRect();
    if (width > 1 && !isForReadersAlone(walker.currentNode.parentElement) && !walker.currentNode.parentElement.closest('style, [data-error]')) {
      found.push({ node: walker.currentNode, left, right });
    }
  }
  return found;
}

function isForReadersAlone(box) {
  return box.clientWidth === 1 && getComputedStyle(box).position === 'absolute';
}

// Cut is a text that goes beyond an ancestor which hides or scrolls what is too wide.
function isCut({ node, left, right }) {
  for (let box = node.parentElement; box && box.id !== 'page'; box = box.parentElement) {
    const [edges, style] = [box.getBoundingClientRect(), getComputedStyle(box)];
    const hasDots = style.textOverflow === 'ellipsis' && box.scrollWidth > box.clientWidth;
    if (style.overflowX !== 'visible' && (hasDots || right > edges.right + 1 || left < edges.left - 1)) {
      return true;
    }
  }
  return false;
}
