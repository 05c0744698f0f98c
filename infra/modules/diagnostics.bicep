metadata name = 'Diagnostic settings'
metadata description = 'Who read, wrote and deleted in the storage account, and what the app logged, into the workspace.'

@description('Required. The storage account.')
param storageAccountName string

@description('Required. The function app.')
param appName string

@description('Required. Resource id of the workspace.')
param workspaceId string

@description('What each setting sends. Metrics are there without one.')
var properties = {
  workspaceId: workspaceId
  logs: [{ categoryGroup: 'allLogs', enabled: true }]
}

resource account 'Microsoft.Storage/storageAccounts@2021-06-01' existing = {
  name: storageAccountName

  resource blobs 'blobServices' existing = {
    name: 'default'
  }

  resource tables 'tableServices' existing = {
    name: 'default'
  }
}

resource app 'Microsoft.Web/sites@2023-12-01' existing = {
  name: appName
}

resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account::blobs
  name: 'ade-token-monitor'
  properties: properties
}

resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account::tables
  name: 'ade-token-monitor'
  properties: properties
}

resource appLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: app
  name: 'ade-token-monitor'
  properties: properties
}
