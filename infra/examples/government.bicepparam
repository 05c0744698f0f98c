using '../main.bicep'

// Azure Government: App Service, an identity that the Graph role was granted to beforehand, the code from a release.
param namePrefix = 'Fabrikam_Gov-Tokens'
param location = 'usgovvirginia'
param alertEmails = ['intune@fabrikam.us', 'on-call@fabrikam.us']
param cloud = 'AzureUSGovernment'
param hosting = 'AppService'
param identityResourceId = '/subscriptions/22222222-2222-4222-8222-222222222222/resourceGroups/rg-identities/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-apple-tokens'
param packageUrl = 'https://github.com/ade-token-monitor/ade-token-monitor/releases/download/v0.1.0/ade-token-monitor-0.1.0.zip'
param readerGroupId = '33333333-3333-4333-8333-333333333333'
param tags = { owner: 'endpoint-team' }
