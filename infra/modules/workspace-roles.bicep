metadata name = 'Roles on the workspace'
metadata description = 'The part of roles.bicep that is granted in the workspace\'s resource group.'

@description('Required. The workspace.')
param workspaceName string

@description('Required. Object id of the identity that the alert rules query with.')
param queryPrincipalId string

@description('Required. Object id of the Entra group that may read the status; empty for none.')
param readerGroupId string

@description('Log Analytics Reader: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles')
var logAnalyticsReader = '73c42c96-874c-492b-b04d-ab87d138a893'

resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = {
  name: workspaceName
}

resource queries 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, queryPrincipalId, logAnalyticsReader)
  properties: {
    description: 'ADE Token Monitor: the alert rules query the two tables.'
    principalId: queryPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logAnalyticsReader)
  }
}

resource workbookQueries 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(readerGroupId)) {
  scope: workspace
  name: guid(workspace.id, readerGroupId, logAnalyticsReader)
  properties: {
    description: 'ADE Token Monitor: the workbook queries with the rights of the person who opens it.'
    principalId: readerGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logAnalyticsReader)
  }
}
