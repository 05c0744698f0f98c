metadata name = 'Monitoring'
metadata description = 'Workspace, Application Insights, the two custom tables and the data collection rule that fills them.'

import { Tags } from 'types.bicep'

@description('Required. The workspace\'s name.')
param workspaceName string

@description('Required. The name of Application Insights.')
param appInsightsName string

@description('Required. The data collection rule\'s name: 3 to 30 letters, digits and hyphens.')
@minLength(3)
@maxLength(30)
param ruleName string

@description('Required. The region of all of them: a rule lives where its workspace does.')
param location string

@description('Required. Their tags.')
param tags Tags

@description('Required. Days that logs and the two tables are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('The two tables\' columns, written from shared/rows.py, which the app sends its rows by.')
var tables = loadJsonContent('../columns.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

// One at a time: the service refuses two changes of a workspace at once.
@batchSize(1)
resource customTables 'Microsoft.OperationalInsights/workspaces/tables@2025-02-01' = [
  for table in items(tables): {
    parent: workspace
    name: table.key
    properties: {
      plan: 'Analytics'
      schema: {
        name: table.key
        columns: map(table.value, column => {
          name: column.name
          type: column.type == 'datetime' ? 'dateTime' : column.type
          description: column.description
        })
      }
    }
  }
]

resource appInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: appInsightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

// A rule's creation checks that the tables exist, and they can be seconds behind.
@retryOn(['InvalidOutputTable', 'InvalidPayload'], 5)
resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: ruleName
  location: location
  tags: tags
  kind: 'Direct'
  properties: {
    description: 'Rows of ADE Token Monitor, into its two tables.'
    streamDeclarations: toObject(items(tables), table => 'Custom-${table.key}', table => {
      columns: map(table.value, column => { name: column.name, type: column.type })
    })
    destinations: {
      logAnalytics: [{ name: 'workspace', workspaceResourceId: workspace.id }]
    }
    dataFlows: map(items(tables), table => {
      streams: ['Custom-${table.key}']
      destinations: ['workspace']
      transformKql: 'source'
      outputStream: 'Custom-${table.key}'
    })
  }
  dependsOn: [customTables]
}

@description('The workspace\'s resource id.')
output workspaceId string = workspace.id
@description('The workspace\'s name.')
output workspaceName string = workspace.name
@description('The id that queries name the workspace by.')
output workspaceCustomerId string = workspace.properties.customerId
@description('The name of Application Insights.')
output appInsightsName string = appInsights.name
@description('Where the host sends its logs. It names a place and lets nobody in: local authentication is off.')
output appInsightsConnection string = appInsights.properties.ConnectionString
@description('The data collection rule\'s name.')
output ruleName string = rule.name
@description('Where the app sends its rows.')
output ingestionEndpoint string = rule.properties.endpoints.logsIngestion
@description('The id that the app names the rule by.')
output ruleImmutableId string = rule.properties.immutableId
