metadata name = 'Parts of the workbook'
metadata description = 'How the workbook shows what its queries find, and what people can choose. https://learn.microsoft.com/azure/azure-monitor/visualize/workbooks-overview'

@description('Milliseconds.')
var day = 86400000

@export()
@description('What a query sees. Whatever history is chosen, the present is what the newest checks say.')
var window = {
  present: { timeContext: { durationMs: 2 * day } }
  lately: { timeContext: { durationMs: 90 * day } }
  chosen: { timeContext: { durationMs: 90 * day }, timeContextFromParameter: 'TimeRange' }
}

@description('Icons that stand beside a column\'s words, and never alone; a word that has none gets the one for unknown.')
var icons = map(
  [
    { critical: 'critical', unknown: 'unknown', warning: 'warning', info: 'info', healthy: 'success' }
    { succeeded: 'success', degraded: 'warning', failed: 'error' }
    { fresh: 'success', 'not fresh': 'error', 'not watched': 'info' }
  ],
  icon => {
    formatter: 18
    formatOptions: {
      thresholdsOptions: 'icons'
      thresholdsGrid: [
        ...map(items(icon), word => {
          operator: '=='
          thresholdValue: word.key
          representation: word.value
          text: '{0}{1}'
        })
        { operator: 'Default', thresholdValue: null, representation: 'unknown', text: '{0}{1}' }
      ]
    }
  }
)

@export()
@description('How a column looks. Numbers of formatters: 1 is text, 4 a bar, 6 a date, 7 a link, 12 a big number, 18 what thresholds say.')
var column = {
  health: icons[0]
  outcome: icons[1]
  inspections: icons[2]
  freshness: {
    formatter: 18
    formatOptions: {
      thresholdsOptions: 'colors'
      thresholdsGrid: [
        { operator: '==', thresholdValue: 'recent', representation: 'green', text: '✔ Up to date' }
        { operator: '==', thresholdValue: 'late', representation: 'redBright', text: '✖ Late' }
        { operator: 'Default', thresholdValue: null, representation: 'redBright', text: '✖ No check' }
      ]
    }
  }
  wide: { formatter: 1, formatOptions: { customColumnWidthSetting: '90ch' } }
  moment: { formatter: 6, dateFormat: { showUtcTime: null, formatName: 'shortDateTimePattern' } }
  date: { formatter: 6, dateFormat: { showUtcTime: null, formatName: 'shortDatePattern' } }
  daysLeft: {
    formatter: 4
    formatOptions: { min: 0, max: 365, palette: 'redGreen' }
    numberFormat: { unit: 17, options: { style: 'decimal' }, emptyValCustomText: 'not known' }
  }
  // Cells cut text off and do not wrap it: the link opens the whole row beside the page.
  details: { formatter: 7, formatOptions: { linkTarget: 'GenericDetails', linkIsContextBlade: true } }
  number: {
    formatter: 12
    formatOptions: { palette: 'none' }
    numberFormat: { unit: 17, options: { style: 'decimal' } }
  }
}

@export()
@description('How a table looks: medium, or (4) as high as its rows.')
var table = { visualization: 'table', size: 0, showExportToExcel: true }

@export()
@description('The colors of a check\'s outcomes, and what they mean.')
var series = [
  { seriesName: 'succeeded', label: 'succeeded', color: 'green' }
  { seriesName: 'degraded', label: 'degraded: a connector could not be read', color: 'orange' }
  { seriesName: 'failed', label: 'failed: store or publish', color: 'redBright' }
  { seriesName: 'unfinished', label: 'unfinished', color: 'gray' }
]

@export()
@description('The colors of what checks said of the inspections of devices.')
var inspectionSeries = [
  { seriesName: 'fresh', label: 'fresh', color: 'green' }
  { seriesName: 'not fresh', label: 'not fresh: older than 48 hours, or not known', color: 'redBright' }
  { seriesName: 'not watched', label: 'not watched', color: 'gray' }
]

@export()
@description('What people choose at the top of the page.')
var choices = [
  {
    name: 'TimeRange'
    label: 'History'
    type: 4
    isRequired: true
    value: { durationMs: 90 * day }
    typeSettings: {
      selectableValues: map([1, 2, 7, 14, 30, 90, 180, 365], days => { durationMs: days * day })
      allowCustom: true
    }
  }
  {
    name: 'Connector'
    label: 'Connector'
    type: 2
    isRequired: true
    multiSelect: true
    quote: '\''
    delimiter: ','
    // With no value of its own, All selects every item of the list.
    typeSettings: { additionalResourceOptions: ['value::all'], showDefault: false }
    jsonData: string([
      { value: 'ade', label: 'Automated Device Enrollment (ade)' }
      { value: 'apns', label: 'Push certificate (apns)' }
      { value: 'vpp', label: 'Apps and Books (vpp)' }
    ])
    value: ['value::all']
  }
]

@export()
@description('What the page finds out for itself: recent, late or none.')
var freshness = {
  name: 'Freshness'
  type: 1
  isHiddenWhenLocked: true
  query: loadTextContent('../workbook/freshness.kql')
  ...window.lately
}
