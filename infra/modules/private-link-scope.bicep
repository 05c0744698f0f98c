metadata name = 'Private link scope'
metadata description = 'Adds resources to an Azure Monitor private link scope that exists. A second scope would break the DNS of the first.'

@description('Required. The scope\'s name.')
param scopeName string

@description('Required. Resource IDs of what it has to let in.')
param resourceIds string[]

resource linkScope 'Microsoft.Insights/privateLinkScopes@2021-09-01' existing = {
  name: scopeName
}

// One at a time: the service refuses two changes of a scope at once.
@batchSize(1)
resource links 'Microsoft.Insights/privateLinkScopes/scopedResources@2021-09-01' = [
  for resourceId in resourceIds: {
    parent: linkScope
    name: last(split(resourceId, '/'))
    #disable-next-line use-resource-id-functions // each comes from a parameter
    properties: { linkedResourceId: resourceId }
  }
]
