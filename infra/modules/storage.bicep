metadata name = 'Storage'
metadata description = 'The account that holds the record (four tables), the host\'s locks and the code package. It has no keys in use.'

import { StorageRedundancy, Tags } from 'types.bicep'

@description('Required. The account\'s name.')
param name string

@description('Required. Its region.')
param location string

@description('Required. Its tags.')
param tags Tags

@description('Required. The tables that the app writes; it cannot create them.')
param tableNames string[]

@description('Required. The container that the code is deployed into.')
param containerName string

@description('Required. How many copies Azure keeps, and where.')
param redundancy StorageRedundancy

@description('Required. Whether only private endpoints reach the account.')
param isPrivate bool

resource account 'Microsoft.Storage/storageAccounts@2021-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    ...(isPrivate ? { publicNetworkAccess: 'Disabled', networkAcls: { bypass: 'None', defaultAction: 'Deny' } } : {})
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource container 'containers' = {
      name: containerName
      properties: { publicAccess: 'None' }
    }
  }

  resource tableService 'tableServices' = {
    name: 'default'

    resource tables 'tables' = [for tableName in tableNames: { name: tableName }]
  }
}

@description('The account\'s name.')
output name string = account.name
@description('The instant of its creation, which an upgrade keeps.')
output createdOn string = account.properties.creationTime
@description('Where the app keeps the record.')
output tablesEndpoint string = account.properties.primaryEndpoints.table
@description('Where the host keeps its locks.')
output blobsEndpoint string = account.properties.primaryEndpoints.blob
@description('Where the host would keep queues; the app uses none.')
output queuesEndpoint string = account.properties.primaryEndpoints.queue
@description('Where the code is deployed into.')
output containerUrl string = '${account.properties.primaryEndpoints.blob}${containerName}'
