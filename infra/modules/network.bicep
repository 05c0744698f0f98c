metadata name = 'Network'
metadata description = 'Private endpoints of the storage account, in a subnet and private DNS zones that exist.'

import { Tags } from 'types.bicep'

@description('Required. What the endpoints\' names end with.')
param suffix string

@description('Required. The region of the virtual network.')
param location string

@description('Required. Their tags.')
param tags Tags

@description('Required. The storage account.')
param storageAccountName string

@description('Required. Resource id of the subnet.')
param subnetId string

@description('Required. Resource IDs of the private DNS zones by service; empty where something else registers the endpoints.')
param zoneIds { blob: string, queue: string, table: string }

@description('What the host and the app use of the account.')
var services = ['blob', 'queue', 'table']

resource account 'Microsoft.Storage/storageAccounts@2021-06-01' existing = {
  name: storageAccountName
}

// One at a time: account and subnet each refuse two changes at once.
@batchSize(1)
resource endpoints 'Microsoft.Network/privateEndpoints@2020-03-01' = [
  for service in services: {
    name: 'pep-${suffix}-${service}'
    location: location
    tags: tags
    properties: {
      subnet: { id: subnetId }
      privateLinkServiceConnections: [
        { name: service, properties: { privateLinkServiceId: account.id, groupIds: [service] } }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2020-03-01' = [
  for (service, index) in services: if (!empty(zoneIds[service])) {
    parent: endpoints[index]
    name: 'default'
    properties: { privateDnsZoneConfigs: [{ name: service, properties: { privateDnsZoneId: zoneIds[service] } }] }
  }
]
