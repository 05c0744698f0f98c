metadata name = 'Workspace'
metadata description = 'A workspace of the deployment\'s own, where none was named.'

import { Tags } from 'types.bicep'

@description('Required. Its name.')
param name string

@description('Required. Its region.')
param location string

@description('Required. Its tags.')
param tags Tags

@description('Required. Days that logs and the two tables are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Required. Whether logs come in through a private link scope alone.')
param isPrivate bool

// There is no daily cap: once it is reached, rows stop, and the alert rules see nothing until the next day.
resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    ...(isPrivate ? { publicNetworkAccessForIngestion: 'Disabled' } : {})
    retentionInDays: retentionDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

@description('Its resource id.')
output id string = workspace.id
@description('Its name.')
output name string = workspace.name
@description('The id that queries name it by.')
output customerId string = workspace.properties.customerId
