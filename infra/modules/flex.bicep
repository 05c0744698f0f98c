metadata name = 'Flex Consumption'
metadata description = 'The function app on a Flex Consumption plan, and its code where a package is named.'

import { Settings, Tags } from 'types.bicep'

@description('Required. The function app\'s name.')
param name string

@description('Required. The plan\'s name.')
param planName string

@description('Required. Their region.')
param location string

@description('Required. Their tags.')
param tags Tags

@description('Required. Resource id of the identity that the app signs in as.')
param identityId string

@description('Required. Every app setting.')
param settings Settings

@description('Required. Address of the container that the code is deployed into.')
param containerUrl string

@description('Required. Address of the package to deploy; empty where something else deploys the code.')
param packageUrl string

@description('Required. Resource id of the subnet that all outbound traffic goes through, delegated to Microsoft.App/environments; empty for none.')
param subnetId string

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

// The identity's role on the container was granted a moment ago.
@retryOn(['InaccessibleStorageException'], 10)
resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'monitor' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    ...(empty(subnetId) ? {} : { virtualNetworkSubnetId: subnetId })
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: containerUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: 40 }
    }
    // Newer clusters refuse ftpsState and more (tests/infra/test_avoided.py); without passwords FTPS lets nobody in.
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      appSettings: map(items(settings), setting => { name: setting.key, value: setting.value })
    }
  }

  // Nobody deploys with a password.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
    dependsOn: [ftp]
  }

  @retryOn(['InaccessibleStorageException'], 10)
  resource code 'extensions' = if (!empty(packageUrl)) {
    name: 'onedeploy'
    #disable-next-line BCP187 // the properties of this type are missing from the compiler's data
    properties: { packageUri: packageUrl, remoteBuild: false }
    dependsOn: [scm]
  }
}

@description('The function app\'s resource id.')
output id string = app.id
