// Turns Prometheus' answers into Grafana's data frames, and applies a panel's transformations and field settings.
// Pure: knows neither React nor the network.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  FieldType,
  getThemeById,
  identityOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import { firstValueFrom } from 'rxjs';

const LINE = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  axisPlacement: 'auto',
  axisLabel: '',
  showPoints: 'auto',
  pointSize: 5,
  barMaxWidth: 200,
  spanNulls: false,
  scaleDistribution: { type: 'linear' },
  stacking: { mode: 'none', group: 'A' },
  thresholdsStyle: { mode: 'off' },
  hideFrom: { tooltip: false, viz: false, legend: false },
};
// How far apart the samples of a target are, in milliseconds: two that are farther apart have a gap between them.
const STEPS = { '1m': 60_000, '1d': 86_400_000 };
const CELL = { align: 'auto', cellOptions: { type: 'auto' }, inspect: false };

standardTransformersRegistry.setInit(() =>
  [...new Set(Object.values(standardTransformers))].map((info) => ({
    ...info,
    transformation: () => Promise.resolve(info),
    editor: () => null,
  }))
);
standardFieldConfigEditorRegistry.setInit(() => [
  ...['unit', 'min', 'max', 'decimals', 'displayName', 'noValue', 'thresholds', 'mappings', 'links', 'color'].map(setting),
  ...[...Object.keys(LINE), ...Object.keys(CELL), 'width', 'minWidth'].map((name) => setting(`custom.${name}`)),
]);

function setting(id) {
  const isCustom = id.startsWith('custom.');
  const path = id.replace('custom.', '');
  const process = identityOverrideProcessor;
  return { id, path, name: id, isCustom, process, override: process, shouldApply: () => true, settings: {}, editor: () => null };
}

// Every frame of a panel, with units, colours, words and links as Grafana would show them.
export async function framesOf(panel, answers, theme) {
  let frames = panel.targets.flatMap((target) => raw(target, answers[target.refId], panel.targets.length));
  if (panel.transformations?.length) {
    frames = await firstValueFrom(transformDataFrame(panel.transformations, frames));
  }
  const fieldConfig = withDefaults(panel);
  const shown = applyFieldOverrides({
    data: frames,
    fieldConfig,
    theme: getThemeById(theme),
    timeZone: 'utc',
    replaceVariables: (text) => text,
  });
  cacheFieldDisplayNames(shown);
  return shown;
}

// A panel's field settings with what Grafana adds when it loads them.
export function withDefaults(panel) {
  const { defaults, overrides } = panel.fieldConfig;
  const custom = { ...(panel.type === 'table' ? CELL : LINE), ...defaults.custom };
  const steps = defaults.thresholds?.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
  const known = overrides.map((override) => ({ ...override, properties: override.properties.map(firstStepIsLowest) }));
  return { defaults: { ...defaults, custom, thresholds: { mode: 'absolute', steps: steps ?? [] } }, overrides: known };
}

function firstStepIsLowest(property) {
  if (property.id !== 'thresholds') {
    return property;
  }
  const steps = property.value.steps.map((step) => ({ ...step, value: step.value ?? -Infinity }));
  return { ...property, value: { ...property.value, steps } };
}

function raw(target, series, targets) {
  if (target.format === 'table') {
    return series.length ? [table(target, series, targets)] : [];
  }
  return series.map((one) => {
    const samples = one.values ?? [one.value];
    const config = { displayNameFromDS: legend(target, one.metric), interval: STEPS[target.interval] };
    return toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: samples.map(([at]) => at * 1000), config: { interval: config.interval } },
        { name: 'Value', type: FieldType.number, values: samples.map(([, value]) => number(value)), labels: one.metric, config },
      ],
    });
  });
}

function table(target, series, targets) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  return toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map((one) => one.value[0] * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: series.map((one) => one.metric[name] ?? '') })),
      {
        name: targets > 1 ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: series.map((one) => number(one.value[1])),
      },
    ],
  });
}

function legend(target, labels) {
  const written = target.legendFormat?.replace(/{{\s*(.+?)\s*}}/g, (_, name) => labels[name] ?? '');
  return written || Object.entries(labels).map(([name, value]) => `${name}="${value}"`).join(', ') || 'Value';
}

function number(text) {
  return { '+Inf': Infinity, '-Inf': -Infinity, NaN: NaN }[text] ?? Number(text);
}
