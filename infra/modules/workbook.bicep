metadata name = 'Workbook'
metadata description = 'An overview for administrators: the current tokens, the next expiries, and the results of syncs and checks.'

import { choices, column, freshness, inspectionSeries, series, table, window } from 'workbook-parts.bicep'

@description('Required. What the workbook\'s GUID is made from, beside the resource group: the same name is the same workbook.')
param name string

@description('Required. The title that people see.')
param displayName string

@description('Required. The region.')
param location string

@description('Required. The workbook\'s tags.')
param tags { *: string }

@description('Required. Resource id of the workspace that holds the custom tables.')
param workspaceId string

@description('Required. Identifies the deployment\'s rows.')
param deploymentId string

@description('Required. Address of the cloud\'s portal, without a slash at its end.')
param portalUrl string

@description('Optional. Where the project\'s documents are. Empty: they are named without a link.')
param documentsUrl string = ''

@description('Every query with its appearance, in the order of the page. `empty` replaces missing rows and never reports that everything is healthy.')
var queries = [
  {
    name: 'last check'
    width: '100'
    window: window.lately
    query: loadTextContent('../workbook/last_check.kql')
    title: 'Last check'
    empty: 'When a check last ran could not be read. Reading it takes the role Log Analytics Reader on the workspace.'
    columns: {
      State: column.freshness
      'Shown as of': column.moment
      'Last check that ended': column.moment
      'How it ended': column.outcome
    }
    look: { ...table, size: 4 }
  }
  {
    name: 'health'
    width: '100'
    window: window.present
    query: loadTextContent('../workbook/health.kql')
    title: 'Tokens by health'
    empty: 'No whole check in the last two days: the health of no token is known. See Last check, at the top.'
    columns: {}
    look: {
      visualization: 'tiles'
      size: 4
      tileSettings: {
        showBorder: true
        titleContent: { columnMatch: 'Meaning', formatter: 1 }
        leftContent: { columnMatch: 'Health', ...column.health }
        rightContent: { columnMatch: 'Tokens', ...column.number }
      }
    }
  }
  {
    name: 'findings'
    width: '100'
    window: window.lately
    query: loadTextContent('../workbook/findings.kql')
    title: 'Open findings, the worst first'
    empty: 'No finding is open in the rows of the last two days. That is good news only if Last check, at the top, is up to date.'
    columns: {
      Severity: column.health
      Finding: column.details
      'What to do': column.wide
      Summary: column.wide
      'First seen within 90 days': column.moment
    }
    look: table
  }
  {
    name: 'tokens'
    width: '100'
    window: window.present
    query: loadTextContent('../workbook/tokens.kql')
    title: 'Tokens, the first to expire first'
    empty: 'No token is known: no whole check in the last two days (see Last check, at the top), or these connectors have none.'
    columns: {
      Health: column.health
      'Days left': column.daysLeft
      'Expires on': column.date
      'Last successful sync': column.moment
    }
    look: table
  }
  {
    name: 'expiry months'
    width: '50'
    window: window.present
    query: loadTextContent('../workbook/expiry_months.kql')
    title: 'What expires in the coming year: tokens by month'
    empty: 'No whole check in the last two days: no expiry is known. See Last check, at the top.'
    columns: {}
    look: { visualization: 'categoricalbar', size: 0, chartSettings: { xAxis: 'Month', yAxis: ['Tokens'] } }
  }
  {
    name: 'expiry tokens'
    width: '50'
    window: window.present
    query: loadTextContent('../workbook/expiry_tokens.kql')
    title: 'Which tokens these are'
    empty: 'No token is known to expire in the coming year. Last check, at the top, says whether that can be relied on.'
    columns: { 'Expires on': column.date }
    look: table
  }
  {
    name: 'sync lag'
    width: '50'
    window: window.chosen
    query: loadTextContent('../workbook/sync_lag.kql')
    title: 'Hours since the last successful sync: the ten tokens that waited longest'
    empty: 'No check in this range reported a sync. Select a longer history, and see Last check at the top.'
    columns: {}
    look: {
      visualization: 'linechart'
      size: 0
      chartSettings: { xAxis: 'TimeGenerated', yAxis: ['Hours'], group: 'Token', showLegend: true }
    }
  }
  {
    name: 'synced devices'
    width: '50'
    window: window.chosen
    query: loadTextContent('../workbook/synced_devices.kql')
    title: 'Synced devices: the ten tokens that have most'
    empty: 'No check in this range reported devices; only ADE tokens have them. Select a longer history, and see Last check at the top.'
    columns: {}
    look: {
      visualization: 'linechart'
      size: 0
      chartSettings: { xAxis: 'TimeGenerated', yAxis: ['Devices'], group: 'Token', showLegend: true }
    }
  }
  {
    name: 'inspections'
    width: '100'
    window: window.lately
    query: loadTextContent('../workbook/inspections.kql')
    title: 'Are the inspections of devices fresh?'
    empty: 'No check reported whether the devices were inspected, so their state is unknown. See Last check at the top.'
    columns: {
      State: column.inspections
      'Said by the check of': column.moment
      'Said since, within 90 days': column.moment
      Why: column.wide
    }
    look: { ...table, size: 4 }
  }
  {
    name: 'device findings'
    width: '100'
    window: window.lately
    query: loadTextContent('../workbook/device_findings.kql')
    title: 'Findings about devices, by token'
    empty: 'No finding about devices is open in the rows of the last two days. That is good news only if the inspections are fresh and Last check, at the top, is up to date.'
    columns: {
      Severity: column.health
      Finding: column.details
      'What was found': column.wide
      'What to do': column.wide
      'First seen within 90 days': column.moment
    }
    look: table
  }
  {
    name: 'device tokens'
    width: '50'
    window: window.chosen
    query: loadTextContent('../workbook/device_tokens.kql')
    title: 'Tokens with a finding about their devices'
    empty: 'No check of this range had a finding about devices. That is good news only if the inspections were fresh. See Last check, at the top.'
    columns: {}
    look: {
      visualization: 'barchart'
      size: 0
      chartSettings: { xAxis: 'TimeGenerated', yAxis: ['Tokens'], group: 'Finding', showLegend: true }
    }
  }
  {
    name: 'inspection states'
    width: '50'
    window: window.chosen
    query: loadTextContent('../workbook/inspection_states.kql')
    title: 'Checks, by whether the inspections were fresh'
    empty: 'No check in this range reported inspections. Select a longer history, and see Last check at the top.'
    columns: {}
    look: {
      visualization: 'barchart'
      size: 0
      chartSettings: {
        xAxis: 'TimeGenerated'
        yAxis: ['Checks']
        group: 'Inspections'
        showLegend: true
        seriesLabelSettings: inspectionSeries
      }
    }
  }
  {
    name: 'run outcomes'
    width: '50'
    window: window.chosen
    query: loadTextContent('../workbook/run_outcomes.kql')
    title: 'How checks ended, of every connector'
    empty: 'No check is recorded in this range. Choose a longer history; see Last check, at the top.'
    columns: {}
    look: {
      visualization: 'barchart'
      size: 0
      chartSettings: {
        xAxis: 'TimeGenerated'
        yAxis: ['Checks']
        group: 'Ended'
        showLegend: true
        seriesLabelSettings: series
      }
    }
  }
  {
    name: 'run durations'
    width: '50'
    window: window.chosen
    query: loadTextContent('../workbook/run_durations.kql')
    title: 'Seconds that the slowest check took'
    empty: 'No check ended in this range. Choose a longer history; see Last check, at the top.'
    columns: {}
    look: { visualization: 'linechart', size: 0, chartSettings: { xAxis: 'TimeGenerated', yAxis: ['Seconds'] } }
  }
  {
    name: 'run failures'
    width: '100'
    window: window.chosen
    query: loadTextContent('../workbook/run_failures.kql')
    title: 'Failures, the newest first'
    empty: 'No failure is recorded in this range. A check that never started records none: see How checks ended.'
    columns: { Check: column.moment, Error: column.wide }
    look: table
  }
  {
    name: 'runs'
    width: '100'
    window: window.chosen
    query: loadTextContent('../workbook/runs.kql')
    title: 'The newest checks that ended'
    empty: 'No check ended in this range. Choose a longer history; see Last check, at the top.'
    columns: { Check: column.moment, Outcome: column.outcome }
    look: table
  }
]

@description('Texts that begin a section, by the query that they stand above.')
var sections = {
  inspections: loadTextContent('../workbook/devices.md')
}

@description('What everything that reads the workspace says.')
var logs = {
  queryType: 0
  resourceType: 'microsoft.operationalinsights/workspaces'
  crossComponentResources: [workspaceId]
}

@description('Shown unless the newest whole check is known to be recent; while nothing is known, too.')
var help = {
  type: 1
  name: 'no recent check'
  conditionalVisibility: { parameterName: 'Freshness', comparison: 'isNotEqualTo', value: 'recent' }
  content: { style: 'warning', json: loadTextContent('../workbook/no_recent_check.md') }
}

@description('Where to read on.')
var documents = empty(documentsUrl)
  ? 'Setting up: `docs/deployment.md`. What each finding means: `docs/alerts.md`.'
  : '[Setting up, step by step](${documentsUrl}/docs/deployment.md). [What each finding means](${documentsUrl}/docs/alerts.md).'

resource workbook 'Microsoft.Insights/workbooks@2020-10-20' = {
  name: guid(resourceGroup().id, name)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: displayName
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    // The value in the queries is an example.
    serializedData: replace(
      string({
        version: 'Notebook/1.0'
        items: [
          {
            type: 9
            name: 'choices'
            content: {
              ...logs
              version: 'KqlParameterItem/1.0'
              style: 'pills'
              parameters: map(concat(choices, [{ ...freshness, ...logs }]), parameter => {
                ...parameter
                id: guid(name, parameter.name)
                version: 'KqlParameterItem/1.0'
              })
            }
          }
          help
          { type: 1, name: 'documents', content: { json: documents } }
          ...flatten(map(queries, item => [
            ...(contains(sections, item.name)
              ? [{ type: 1, name: 'section ${item.name}', content: { json: sections[item.name] } }]
              : [])
            {
              type: 3
              name: item.name
              customWidth: item.width
              content: {
                ...logs
                ...item.window
                ...item.look
                version: 'KqlItem/1.0'
                query: item.query
                title: item.title
                noDataMessage: item.empty
                ...(empty(item.columns)
                  ? {}
                  : {
                      gridSettings: {
                        // columnMatch is a regular expression: no column's name is a part of another one's.
                        formatters: map(items(item.columns), each => { columnMatch: each.key, ...each.value })
                        filter: true
                        rowLimit: 10000
                      }
                    })
              }
            }
          ]))
        ]
        fallbackResourceIds: [workspaceId]
        '$schema': 'https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json'
      }),
      'this-deployment',
      deploymentId
    )
  }
}

@description('Resource id of the workbook.')
output id string = workbook.id

@description('The workbook\'s name, a GUID.')
output name string = workbook.name

@description('Where the portal shows the workbook.')
output url string = '${portalUrl}/#@${tenant().tenantId}/resource${workbook.id}/workbook'
