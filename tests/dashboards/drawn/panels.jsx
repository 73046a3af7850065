// Draws one panel of each type with Grafana's components; the state timeline, which they lack, with plain boxes.
import { FieldType, getDisplayProcessor, getFieldDisplayValues, getDisplayValueAlignmentFactors } from '@grafana/data';
import { BarGauge, BigValue, PanelContextProvider, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { EventBusSrv } from '@grafana/data';
import { withDefaults } from './frames.js';

const DRAWN = { stat: Stat, table: Table, timeseries: Graph, bargauge: Bars, 'state-timeline': Timeline };

export function Content(props) {
  const Drawn = DRAWN[props.panel.type];
  if (!Drawn) {
    throw new Error(`no way to draw a panel of type ${props.panel.type}`);
  }
  const isEmpty = !props.frames.some((frame) => frame.length > 0);
  const speaksItself = ['stat', 'bargauge'].includes(props.panel.type);
  return isEmpty && !speaksItself ? <Empty {...props} /> : <Drawn {...props} />;
}

function Empty({ panel, theme, width, height }) {
  const style = { width, height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary };
  return (
    <div style={style} data-empty>
      {panel.fieldConfig.defaults.noValue || 'No data'}
    </div>
  );
}

function reduced({ panel, frames, theme }) {
  return getFieldDisplayValues({
    fieldConfig: withDefaults(panel),
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    theme,
    data: frames,
    timeZone: 'utc',
  });
}

function Stat(props) {
  const { panel, frames, theme, width, height } = props;
  return (
    <VizRepeater
      getValues={() => reduced(props)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, alignmentFactors, width, height, count }) => (
        <BigValue
          value={value.display}
          count={count}
          colorMode={panel.options.colorMode}
          graphMode={panel.options.graphMode}
          textMode={panel.options.textMode}
          justifyMode="auto"
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          theme={theme}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={3}
      renderCounter={0}
      autoGrid
      orientation={panel.options.orientation ?? 'auto'}
    />
  );
}

function Bars(props) {
  const { panel, frames, theme, width, height } = props;
  return (
    <VizRepeater
      getValues={() => reduced(props)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, alignmentFactors, width, height, orientation }) => (
        <BarGauge
          value={value.display}
          width={width}
          height={height}
          orientation={orientation}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          theme={theme}
          itemSpacing={8}
          lcdCellWidth={8}
          displayMode={panel.options.displayMode}
          showUnfilled
          alignmentFactors={alignmentFactors}
          valueDisplayMode={panel.options.valueMode}
          text={panel.options.text}
          namePlacement={panel.options.namePlacement ?? 'auto'}
        />
      )}
      width={width}
      height={height}
      source={frames}
      itemSpacing={8}
      minVizHeight={16}
      maxVizHeight={300}
      minVizWidth={8}
      renderCounter={0}
      orientation={panel.options.orientation}
    />
  );
}

function Table({ panel, frames, width, height }) {
  const { options } = panel;
  return (
    <TableNG
      data={frames[0]}
      width={width}
      height={height}
      noHeader={options.showHeader === false}
      showTypeIcons={options.showTypeIcons}
      resizable
      sortBy={options.sortBy}
      sortByBehavior="initial"
      cellHeight={options.cellHeight}
      enablePagination={options.footer?.enablePagination}
      fieldConfig={withDefaults(panel)}
      noValue={panel.fieldConfig.defaults.noValue}
      structureRev={1}
      disableKeyboardEvents
    />
  );
}

function Graph({ panel, frames, range, width, height }) {
  const context = { eventBus: new EventBusSrv(), eventsScope: 'panel', sync: () => 0, onToggleSeriesVisibility: () => {} };
  return (
    <PanelContextProvider value={context}>
      <TimeSeries
        frames={frames}
        structureRev={1}
        timeRange={range}
        timeZone="utc"
        width={width}
        height={height}
        legend={panel.options.legend}
        options={panel.options}
      />
    </PanelContextProvider>
  );
}

function Timeline({ frames, theme, range, width, height }) {
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const lane = { position: 'relative', flex: 1, minHeight: 4, marginLeft: 160 };
  const place = (at) => `${(100 * (at - from)) / (to - from)}%`;
  return (
    <div style={{ width, height, display: 'flex', flexDirection: 'column', gap: 4, color: theme.colors.text.primary }}>
      {frames.map((frame, index) => (
        <div key={index} style={lane}>
          <div data-lane style={{ position: 'absolute', left: -160, width: 152, textAlign: 'right', fontSize: 12 }}>
            {frame.fields[1].config.displayNameFromDS}
          </div>
          {stretches(frame).map(([start, end, value]) => {
            const shown = frame.fields[1].display(value);
            const size = { left: place(start), width: `calc(${place(end)} - ${place(start)})` };
            return <div key={start} title={shown.text} style={{ position: 'absolute', height: '80%', background: shown.color, ...size }} />;
          })}
        </div>
      ))}
    </div>
  );
}

function stretches(frame) {
  const [times, values] = frame.fields.map((field) => field.values);
  const found = [];
  values.forEach((value, index) => {
    const last = found.at(-1);
    if (last?.[2] === value && last[1] >= times[index] - 60_000) {
      last[1] = times[index];
    } else {
      found.push([times[index], times[index] + 1000, value]);
    }
  });
  return found;
}
