metadata name = 'Monitoring'
metadata description = 'Application Insights, and the data collection rule that fills the two custom tables, with an endpoint of its own where the network is private.'

import { Tags } from 'types.bicep'

@description('Required. Resource id of the workspace.')
param workspaceId string

@description('Required. The region of the workspace, where a rule and its endpoint have to be.')
param workspaceLocation string

@description('Required. The name of Application Insights.')
param appInsightsName string

@description('Required. The data collection rule\'s name: 3 to 30 letters, digits and hyphens.')
@minLength(3)
@maxLength(30)
param ruleName string

@description('Required. The name of the data collection endpoint.')
@minLength(3)
@maxLength(44)
param endpointName string

@description('Required. Whether logs come in through a private link scope alone.')
param isPrivate bool

@description('Required. The region of Application Insights.')
param location string

@description('Required. Their tags.')
param tags Tags

@description('The two tables\' columns, written from shared/storage/rows.py, which the app sends its rows by.')
var tables = loadJsonContent('../columns.json')

resource appInsights 'Microsoft.Insights/components@2020-02-02' = {
  name: appInsightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspaceId
    DisableLocalAuth: true
    ...(isPrivate ? { publicNetworkAccessForIngestion: 'Disabled' } : {})
  }
}

resource endpoint 'Microsoft.Insights/dataCollectionEndpoints@2021-04-01' = if (isPrivate) {
  name: endpointName
  location: workspaceLocation
  tags: tags
  properties: { networkAcls: { publicNetworkAccess: 'Disabled' } }
}

// A rule's creation checks that the tables exist, and they can be seconds behind.
@retryOn(['InvalidOutputTable', 'InvalidPayload'], 5)
resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: ruleName
  location: workspaceLocation
  tags: tags
  kind: 'Direct'
  properties: {
    description: 'Rows of ADE Token Monitor, into its two tables.'
    ...(isPrivate ? { dataCollectionEndpointId: endpoint.id } : {})
    streamDeclarations: toObject(items(tables), table => 'Custom-${table.key}', table => {
      columns: map(table.value, column => { name: column.name, type: column.type })
    })
    destinations: {
      logAnalytics: [{ name: 'workspace', workspaceResourceId: workspaceId }]
    }
    dataFlows: map(items(tables), table => {
      streams: ['Custom-${table.key}']
      destinations: ['workspace']
      transformKql: 'source'
      outputStream: 'Custom-${table.key}'
    })
  }
}

@description('What a private link scope has to let in.')
output privateLinkIds string[] = [appInsights.id, ...(isPrivate ? [endpoint.id] : [])]
@description('The name of Application Insights.')
output appInsightsName string = appInsights.name
@description('Where the host sends its logs. It names a place and lets nobody in: local authentication is off.')
output appInsightsConnection string = appInsights.properties.ConnectionString
@description('The data collection rule\'s name.')
output ruleName string = rule.name
@description('Where the app sends its rows.')
output ingestionEndpoint string = isPrivate
  ? endpoint!.properties.logsIngestion.endpoint
  : rule.properties.endpoints.logsIngestion
@description('The id that the app names the rule by.')
output ruleImmutableId string = rule.properties.immutableId
