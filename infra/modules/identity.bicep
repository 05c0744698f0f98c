metadata name = 'Identity'
metadata description = 'A user-assigned managed identity.'

import { Tags } from 'types.bicep'

@description('Required. Its name.')
param name string

@description('Required. Its region.')
param location string

@description('Required. Its tags.')
param tags Tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

@description('Its resource id.')
output id string = identity.id
@description('Its object id, which roles are granted to.')
output principalId string = identity.properties.principalId
@description('Its client id, which the app signs in with.')
output clientId string = identity.properties.clientId
