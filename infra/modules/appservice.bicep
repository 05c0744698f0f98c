metadata name = 'App Service'
metadata description = 'The function app on an App Service plan, and its code where a package is named.'

import { AppServiceSku, Settings, Tags } from 'types.bicep'

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

@description('Required. Every app setting but those that this plan adds.')
param settings Settings

@description('Required. Address of the package to deploy; empty where something else deploys the code.')
param packageUrl string

@description('Required. The size of the plan; empty for B1.')
param sku AppServiceSku

@description('Required. Resource id of the subnet that all outbound traffic goes through, delegated to Microsoft.Web/serverFarms; empty for none.')
param subnetId string

@description('Settings that Flex Consumption refuses and this plan needs.')
var settingsOfThePlan = {
  FUNCTIONS_EXTENSION_VERSION: '~4'
  FUNCTIONS_WORKER_RUNTIME: 'python'
  // The package is mounted as it is: unpacked, its many small files would make every start slow.
  WEBSITE_RUN_FROM_PACKAGE: '1'
}

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'linux'
  sku: { name: empty(sku) ? 'B1' : sku }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'monitor' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    // Flex Consumption routes everything; App Service has to be asked.
    ...(empty(subnetId) ? {} : { virtualNetworkSubnetId: subnetId, vnetRouteAllEnabled: true })
    siteConfig: {
      alwaysOn: true
      linuxFxVersion: 'PYTHON|3.13'
      ftpsState: 'Disabled'
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      appSettings: map(items(union(settings, settingsOfThePlan)), setting => {
        name: setting.key
        value: setting.value
      })
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

  resource code 'extensions' = if (!empty(packageUrl)) {
    name: 'onedeploy'
    #disable-next-line BCP187 // the properties of this type are missing from the compiler's data
    properties: { packageUri: packageUrl, type: 'zip' }
    dependsOn: [scm]
  }
}

@description('The function app\'s resource id.')
output id string = app.id
