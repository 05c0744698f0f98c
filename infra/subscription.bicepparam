using 'subscription.bicep'

import { listOf } from 'modules/types.bicep'

// azd's parameters: `azd env set ALERT_EMAILS a@contoso.com,b@contoso.com` sets one. Each has a default, so that the file
// evaluates without any; the default address belongs to nobody, and azure.yaml's first hook asks for a real one.
param resourceGroupName = 'rg-${readEnvironmentVariable('AZURE_ENV_NAME', 'ade-token-monitor')}'
param namePrefix = readEnvironmentVariable('AZURE_ENV_NAME', 'ade-token-monitor')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param alertEmails = listOf(readEnvironmentVariable('ALERT_EMAILS', 'nobody@example.com'))
param alertSmsNumbers = listOf(readEnvironmentVariable('ALERT_SMS_NUMBERS', ''))
param alertAppAccounts = listOf(readEnvironmentVariable('ALERT_APP_ACCOUNTS', ''))
param alertRoles = json(string(listOf(readEnvironmentVariable('ALERT_ROLES', '')))) // Azure compares them with the roles it takes
param alertWebhook = readEnvironmentVariable('ALERT_WEBHOOK', '')
param teamsWebhook = readEnvironmentVariable('TEAMS_WEBHOOK', '')
param alertActionGroups = listOf(readEnvironmentVariable('ALERT_ACTION_GROUPS', ''))
param criticalActionGroups = listOf(readEnvironmentVariable('CRITICAL_ACTION_GROUPS', ''))
param warningActionGroups = listOf(readEnvironmentVariable('WARNING_ACTION_GROUPS', ''))
param alertRoutes = map(listOf(readEnvironmentVariable('ALERT_ROUTES', '')), item => {
  text: first(split(item, '='))
  actionGroupId: last(split(item, '='))
})
param alertGrouping = readEnvironmentVariable('ALERT_GROUPING', 'Token')
param summaryDay = readEnvironmentVariable('SUMMARY_DAY', 'Monday')
param readerGroupId = readEnvironmentVariable('READER_GROUP_ID', '')
param hosting = readEnvironmentVariable('HOSTING', 'FlexConsumption')
param appServiceSku = readEnvironmentVariable('APP_SERVICE_SKU', '')
param network = {
  appSubnetId: readEnvironmentVariable('APP_SUBNET_ID', '')
  endpointSubnetId: readEnvironmentVariable('ENDPOINT_SUBNET_ID', '')
  blobZoneId: readEnvironmentVariable('BLOB_ZONE_ID', '')
  queueZoneId: readEnvironmentVariable('QUEUE_ZONE_ID', '')
  tableZoneId: readEnvironmentVariable('TABLE_ZONE_ID', '')
  privateLinkScopeId: readEnvironmentVariable('PRIVATE_LINK_SCOPE_ID', '')
}
param storageRedundancy = readEnvironmentVariable('STORAGE_REDUNDANCY', 'Standard_LRS')
param workspaceResourceId = readEnvironmentVariable('EXISTING_WORKSPACE_ID', '')
param actionGroupLocation = readEnvironmentVariable('ACTION_GROUP_LOCATION', 'global')
param diagnosticSettings = bool(readEnvironmentVariable('DIAGNOSTIC_SETTINGS', 'false'))
param identityResourceId = readEnvironmentVariable('EXISTING_IDENTITY_ID', '')
param enrollmentEvents = bool(readEnvironmentVariable('ENROLLMENT_EVENTS', 'false'))
param cloud = readEnvironmentVariable('AZURE_CLOUD', '')
param tags = union(
  { 'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME', 'ade-token-monitor') },
  toObject(
    map(
      listOf(readEnvironmentVariable('TAGS', '')),
      tag => contains(tag, '=') ? tag : fail('TAGS must be a list such as owner=endpoint-team,costCenter=4711.')
    ),
    tag => trim(first(split(tag, '='))),
    tag => trim(join(skip(split(tag, '='), 1), '='))
  )
)
