// Optional: grants the Graph roles by Bicep, for those who deploy Entra ID so; the usual way is grant-graph-role.sh.
//
// It stands apart, and is in no build of this project, because compiling it fetches the Microsoft Graph extension from
// the network (Bicep 0.36.1 or later). Whoever deploys it needs AppRoleAssignment.ReadWrite.All and
// Application.Read.All on Graph: a Global Administrator or a Privileged Role Administrator.
//
//   az deployment group create --resource-group GROUP --template-file infra/graph-role/main.bicep \
//     --parameters identityName=NAME
//
// Two open bugs of the extension, in https://github.com/microsoftgraph/msgraph-bicep-types/issues:
//   193  for an identity made a moment ago it can fail with "Not a valid reference update": deploy it again later
//   161  deployed again, it can fail with "entry already exists": the role is granted then
metadata name = 'Graph roles of ADE Token Monitor'
metadata description = 'Grants the app\'s managed identity its Microsoft Graph application roles.'

extension microsoftGraphV1

@description('Required. Name of the app\'s user-assigned identity, in this resource group.')
param identityName string

@description('Optional. Whether to grant what reading enrollment events needs, too.')
param enrollmentEvents bool = false

var roles = enrollmentEvents
  ? ['DeviceManagementServiceConfig.Read.All', 'DeviceManagementManagedDevices.Read.All']
  : ['DeviceManagementServiceConfig.Read.All']

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

resource graph 'Microsoft.Graph/servicePrincipals@v1.0' existing = {
  appId: '00000003-0000-0000-c000-000000000000'
}

resource assignments 'Microsoft.Graph/appRoleAssignedTo@v1.0' = [
  for role in roles: {
    principalId: identity.properties.principalId
    resourceId: graph.id
    appRoleId: filter(graph.appRoles, appRole => appRole.value == role)[0].id
  }
]
