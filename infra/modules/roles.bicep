metadata name = 'Roles'
metadata description = 'Every role that the deployment grants, each to one principal and on the smallest thing that works.'

@description('Required. Object id of the app\'s identity.')
param appPrincipalId string

@description('Required. Object id of the identity that the alert rules query with.')
param queryPrincipalId string

@description('Required. Object id of the Entra group that may read the status; empty for none.')
param readerGroupId string

@description('Required. The storage account.')
param storageAccountName string

@description('Required. The app\'s tables in it.')
param tableNames string[]

@description('Required. Resource id of the workspace, which can be in another resource group.')
param workspaceId string

@description('Required. Application Insights.')
param appInsightsName string

@description('Required. The data collection rule.')
param ruleName string

@description('Required. The workbook.')
param workbookName string

@description('Built-in roles: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles')
var roles = {
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  storageBlobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  storageTableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  storageTableDataReader: '76199698-9eea-4c19-bc75-cec21354c6b6'
  workbookReader: 'b279062a-9be3-42a0-92ae-8b3cf002ec4d'
}

resource account 'Microsoft.Storage/storageAccounts@2021-06-01' existing = {
  name: storageAccountName

  resource tableService 'tableServices' existing = {
    name: 'default'

    resource tables 'tables' existing = [for tableName in tableNames: { name: tableName }]
  }
}

resource appInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: appInsightsName
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' existing = {
  name: ruleName
}

resource workbook 'Microsoft.Insights/workbooks@2020-10-20' existing = {
  name: workbookName
}

@description('The parts of the workspace\'s address: \'\', subscriptions, <id>, resourceGroups, <group>, providers, <provider>, <type>, <name>.')
var workspaceParts = split(workspaceId, '/')

module workspaceRoles 'workspace-roles.bicep' = {
  scope: resourceGroup(workspaceParts[2], workspaceParts[4])
  params: { workspaceName: workspaceParts[8], queryPrincipalId: queryPrincipalId, readerGroupId: readerGroupId }
}

resource hostStorage 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: account
  name: guid(account.id, appPrincipalId, roles.storageBlobDataOwner)
  properties: {
    description: 'ADE Token Monitor: the Functions host keeps its locks and reads the code package.'
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageBlobDataOwner)
  }
}

resource record 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (tableName, index) in tableNames: {
    scope: account::tableService::tables[index]
    name: guid(account::tableService::tables[index].id, appPrincipalId, roles.storageTableDataContributor)
    properties: {
      description: 'ADE Token Monitor: the app keeps its record.'
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId(
        'Microsoft.Authorization/roleDefinitions',
        roles.storageTableDataContributor
      )
    }
  }
]

resource rows 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: rule
  name: guid(rule.id, appPrincipalId, roles.monitoringMetricsPublisher)
  properties: {
    description: 'ADE Token Monitor: the app sends the rows that the alert rules read.'
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
  }
}

resource logs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: appInsights
  name: guid(appInsights.id, appPrincipalId, roles.monitoringMetricsPublisher)
  properties: {
    description: 'ADE Token Monitor: host and worker send their logs.'
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
  }
}

resource statusReaders 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (tableName, index) in tableNames: if (!empty(readerGroupId)) {
    scope: account::tableService::tables[index]
    name: guid(account::tableService::tables[index].id, readerGroupId, roles.storageTableDataReader)
    properties: {
      description: 'ADE Token Monitor: the group reads the status.'
      principalId: readerGroupId
      principalType: 'Group'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.storageTableDataReader)
    }
  }
]

resource workbookReaders 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(readerGroupId)) {
  scope: workbook
  name: guid(workbook.id, readerGroupId, roles.workbookReader)
  properties: {
    description: 'ADE Token Monitor: the group opens the workbook.'
    principalId: readerGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.workbookReader)
  }
}
