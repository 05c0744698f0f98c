metadata name = 'ADE Token Monitor'
metadata description = 'Watches the Apple tokens of an Intune tenant: the app, its record, its logs, the alert rules and the workbook, in one resource group.'

import {
  ActionGroupLocation
  AlertGrouping
  AlertRole
  AlertRoute
  AppServiceSku
  Cloud
  Connectors
  Hosting
  Network
  StorageRedundancy
  SummaryDay
  SyncErrorNames
  Tags
  Thresholds
  clouds
} from 'modules/types.bicep'
import { problems } from 'modules/checks.bicep'

@description('Required. What the resources\' names begin with. Letters, digits and hyphens are kept, and 12 characters.')
@minLength(1)
@maxLength(60)
param namePrefix string

@description('Required. The region of every resource.')
param location string

@description('Required. The email addresses that are notified; up to 1,000. Each has to confirm a passcode that Azure mails, within 30 minutes.')
@minLength(1)
@maxLength(1000)
param alertEmails string[]

@description('Optional. Mobile numbers that get a text message: +<country code> <number>, such as +1 5551234567; up to 10.')
@maxLength(10)
param alertSmsNumbers string[] = []

@description('Optional. Accounts that get a push message in the Azure mobile app; up to 10.')
@maxLength(10)
param alertAppAccounts string[] = []

@description('Optional. Azure roles whose members get an email, where the role is assigned to them at the subscription.')
param alertRoles AlertRole[] = []

@description('Optional. An https address that gets every alert in the common alert schema.')
@secure()
param alertWebhook string = ''

@description('Optional. Address of a Teams workflow that takes webhook requests. A Logic App posts a card to it.')
@secure()
param teamsWebhook string = ''

@description('Optional. Resource IDs of existing action groups that every rule notifies, too. With those of its severity, a rule takes up to four.')
param alertActionGroups string[] = []

@description('Optional. Resource IDs of existing action groups that critical alerts notify, too.')
param criticalActionGroups string[] = []

@description('Optional. Resource IDs of existing action groups that warnings notify, too.')
param warningActionGroups string[] = []

@description('Optional. Action groups that alerts of some tokens notify, too, by a text in the token\'s name.')
param alertRoutes AlertRoute[] = []

@description('Optional. One alert for each token and condition, or one for each connector and condition: for tenants with more than 100 tokens.')
param alertGrouping AlertGrouping = 'Token'

@description('Optional. The day of the week, in UTC, on which a summary is sent as a sign of life; Off for none.')
param summaryDay SummaryDay = 'Monday'

@description('Optional. What is watched.')
param connectors Connectors = ['ade', 'apns', 'vpp']

@description('Optional. The limits of findings. What you leave out keeps its default.')
param thresholds Thresholds = {}

@description('Optional. The tenant\'s own names for codes of ADE sync errors: { \'5\': \'Access denied\' }.')
param syncErrorNames SyncErrorNames = {}

@description('Optional. Also read Intune\'s own failure events. The app needs the Graph role DeviceManagementManagedDevices.Read.All for it.')
param enrollmentEvents bool = false

@description('Optional. When devices are inspected: six NCRONTAB fields, UTC.')
@minLength(11)
@maxLength(100)
param inspectSchedule string = '0 37 * * * *'

@description('Optional. When old history is deleted: six NCRONTAB fields, UTC.')
@minLength(11)
@maxLength(100)
param pruneSchedule string = '0 17 3 * * *'

@description('Optional. Days that history and runs are kept in Table Storage.')
@minValue(1)
@maxValue(3650)
param historyRetentionDays int = 400

@description('Optional. Days that logs and the rows of the alert rules are kept in the workspace.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Optional. Object id of an Entra group that may read the status and the workbook.')
@maxLength(36)
param readerGroupId string = ''

@description('Optional. The plan that the app runs on: AppService where a cloud or region has no Flex Consumption.')
param hosting Hosting = 'FlexConsumption'

@description('Optional. The size of the App Service plan: B1 where it is empty. Flex Consumption has no sizes.')
param appServiceSku AppServiceSku = ''

@description('Optional. Existing subnets, private DNS zones and private link scope, for a tenant that refuses public services.')
param network Network = {}

@description('Optional. How many copies of the record Azure keeps, and where. What is deployed already cannot be changed by a deployment.')
param storageRedundancy StorageRedundancy = 'Standard_LRS'

@description('Optional. Resource ID of an existing Log Analytics workspace, also of another resource group or subscription. Empty: the deployment creates one.')
param workspaceResourceId string = ''

@description('Optional. Where notifications are processed; Azure can process those of a global action group in any geography.')
param actionGroupLocation ActionGroupLocation = 'global'

@description('Optional. Send the resource logs of the storage account and of the app to the workspace.')
param diagnosticSettings bool = false

@description('Optional. Address of a release package that is deployed, too. Empty where azd, az or a pipeline deploys the code.')
param packageUrl string = ''

@description('Optional. Resource ID of a user-assigned identity that has the Graph role already, which the app then signs in as.')
param identityResourceId string = ''

@description('Optional. The cloud that this is deployed in; empty for whichever it is.')
param cloud Cloud = ''

@description('Optional. Microsoft Graph\'s address, where it is not the cloud\'s usual one: https://dod-graph.microsoft.us.')
param graphEndpoint string = ''

@description('Optional. Where the project\'s documents are, for the links in alerts.')
param documentsUrl string = 'https://github.com/ade-token-monitor/ade-token-monitor/blob/main'

@description('Optional. Tags of every resource.')
param tags Tags = {}

@description('The cloud that this is deployed in.')
var cloudName = empty(cloud) ? environment().name : cloud

@description('Microsoft Graph\'s address.')
var graph = empty(graphEndpoint) ? clouds[cloudName].graph : graphEndpoint

@description('The app\'s tables. It writes them and cannot make them.')
var tableNames = ['TokenStatus', 'TokenHistory', 'CheckRun', 'DeviceInspection']
@description('Where the code is deployed into.')
var containerName = 'app-package'

@description('The prefix, a letter each.')
var letters = map(range(0, length(namePrefix)), index => toLower(substring(namePrefix, index, 1)))
@description('The characters of it that names may contain.')
var kept = join(filter(letters, letter => contains('abcdefghijklmnopqrstuvwxyz0123456789-', letter)), '')
@description('Its words, so that no hyphen is at either end or next to another one.')
var parts = filter(split(take(kept, 12), '-'), part => !empty(part))
@description('What names begin with.')
var prefix = empty(parts) ? 'ade' : join(parts, '-')
@description('What makes names unique: 13 letters and digits.')
var unique = uniqueString(resourceGroup().id, namePrefix, location)
@description('What every name ends with but those of the alert rules, which begin with it. cli/doctor/app.py takes it from the app\'s name.')
var suffix = '${prefix}-${unique}'

@description('What contradicts itself in the parameters.')
var contradictions = problems(
  concat(alertEmails, alertAppAccounts),
  network,
  hosting,
  appServiceSku,
  storageRedundancy,
  location,
  identityResourceId,
  workspaceResourceId
)

@description('Whether only private endpoints reach the storage account.')
var isPrivate = !empty(network.?endpointSubnetId)
@description('Whether logs come in through a private link scope alone.')
var hasLinkScope = length(split(network.?privateLinkScopeId ?? '', '/')) == 9
@description('The parts of its address. Azure reads the group of a module that is not deployed, too, so there has to be one.')
var linkScopeParts = split(
  hasLinkScope ? network.?privateLinkScopeId ?? '' : '${resourceGroup().id}/providers/none/none/none',
  '/'
)

@description('Whether a workspace was named.')
var usesTheirWorkspace = length(split(workspaceResourceId, '/')) == 9
@description('The parts of the workspace\'s address, theirs or ours: \'\', subscriptions, <id>, resourceGroups, <group>, providers, <provider>, <type>, <name>.')
var workspaceParts = split(
  usesTheirWorkspace
    ? workspaceResourceId
    : '${resourceGroup().id}/providers/Microsoft.OperationalInsights/workspaces/log-${suffix}',
  '/'
)

@description('Whether an identity was named.')
var usesTheirIdentity = length(split(identityResourceId, '/')) == 9
@description('The parts of its address: \'\', subscriptions, <id>, resourceGroups, <group>, providers, <provider>, <type>, <name>.')
var identityParts = split(usesTheirIdentity ? identityResourceId : '////////', '/')

module ourIdentity 'modules/identity.bicep' = if (!usesTheirIdentity) {
  params: { name: 'id-${suffix}', location: location, tags: tags }
}

resource theirIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = if (usesTheirIdentity) {
  name: identityParts[8]
  scope: resourceGroup(identityParts[2], identityParts[4])
}

@description('The identity that the app signs in as.')
var identity = {
  id: usesTheirIdentity ? theirIdentity.id : ourIdentity!.outputs.id
  name: usesTheirIdentity ? identityParts[8] : 'id-${suffix}'
  principalId: usesTheirIdentity ? theirIdentity!.properties.principalId : ourIdentity!.outputs.principalId
  clientId: usesTheirIdentity ? theirIdentity!.properties.clientId : ourIdentity!.outputs.clientId
}

@description('Identifies this deployment\'s rows in the workspace. An upgrade keeps it; a new identity, after a removal, changes it.')
var deploymentId = uniqueString(suffix, identity.principalId)

module queryIdentity 'modules/identity.bicep' = {
  params: { name: 'id-${suffix}-alerts', location: location, tags: tags }
}

module storage 'modules/storage.bicep' = {
  params: {
    name: 'st${take(replace(prefix, '-', ''), 9)}${unique}'
    location: location
    tags: tags
    tableNames: tableNames
    containerName: containerName
    // A sentence here ends the deployment before it begins.
    redundancy: empty(contradictions) ? storageRedundancy : fail(contradictions)
    isPrivate: isPrivate
  }
}

module privateEndpoints 'modules/network.bicep' = if (isPrivate) {
  params: {
    suffix: suffix
    location: location
    tags: tags
    storageAccountName: storage.outputs.name
    subnetId: network.?endpointSubnetId ?? ''
    zoneIds: {
      blob: network.?blobZoneId ?? ''
      queue: network.?queueZoneId ?? ''
      table: network.?tableZoneId ?? ''
    }
  }
}

module ourWorkspace 'modules/workspace.bicep' = if (!usesTheirWorkspace) {
  params: {
    name: 'log-${suffix}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    isPrivate: hasLinkScope
  }
}

resource theirWorkspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = if (usesTheirWorkspace) {
  name: workspaceParts[8]
  scope: resourceGroup(workspaceParts[2], workspaceParts[4])
}

@description('The workspace that holds rows and logs.')
var workspace = {
  id: usesTheirWorkspace ? theirWorkspace.id : ourWorkspace!.outputs.id
  name: usesTheirWorkspace ? theirWorkspace.name : ourWorkspace!.outputs.name
  location: usesTheirWorkspace ? theirWorkspace!.location : location
  customerId: usesTheirWorkspace ? theirWorkspace!.properties.customerId : ourWorkspace!.outputs.customerId
}

module tables 'modules/tables.bicep' = {
  scope: resourceGroup(workspaceParts[2], workspaceParts[4])
  params: {
    workspaceName: workspace.name
    retentionDays: usesTheirWorkspace ? logRetentionDays : 0
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    workspaceId: workspace.id
    workspaceLocation: workspace.location
    appInsightsName: 'appi-${suffix}'
    ruleName: 'dcr-${suffix}'
    endpointName: 'dce-${suffix}'
    isPrivate: hasLinkScope
    location: location
    tags: tags
  }
  dependsOn: [tables]
}

module linkScope 'modules/private-link-scope.bicep' = if (hasLinkScope) {
  scope: resourceGroup(linkScopeParts[2], linkScopeParts[4])
  params: {
    scopeName: linkScopeParts[8]
    // A workspace that was there before is in it already, or takes rows from anywhere.
    resourceIds: concat(monitoring.outputs.privateLinkIds, usesTheirWorkspace ? [] : [workspace.id])
  }
}

module workbook 'modules/workbook.bicep' = {
  params: {
    name: suffix
    displayName: 'Apple tokens (${prefix})'
    location: location
    tags: tags
    workspaceId: workspace.id
    deploymentId: deploymentId
    portalUrl: clouds[cloudName].portal
    documentsUrl: documentsUrl
  }
}

module roles 'modules/roles.bicep' = {
  params: {
    appPrincipalId: identity.principalId
    queryPrincipalId: queryIdentity.outputs.principalId
    readerGroupId: readerGroupId
    storageAccountName: storage.outputs.name
    tableNames: tableNames
    workspaceId: workspace.id
    appInsightsName: monitoring.outputs.appInsightsName
    ruleName: monitoring.outputs.ruleName
    workbookName: workbook.outputs.name
  }
}

@description('The defaults of the app settings, which `make docs` writes from shared/settings.py.')
var defaults = loadJsonContent('defaults.json')

@description('Every app setting.')
var settings = {
  // The app's own, as shared/settings.py reads them.
  TABLES_ENDPOINT: storage.outputs.tablesEndpoint
  LOGS_INGESTION_ENDPOINT: monitoring.outputs.ingestionEndpoint
  LOGS_INGESTION_RULE_ID: monitoring.outputs.ruleImmutableId
  TENANT_ID: tenant().tenantId
  DEPLOYMENT: deploymentId
  AZURE_CLIENT_ID: identity.clientId
  GRAPH_ENDPOINT: graph
  AZURE_CLOUD: cloudName
  CONNECTORS: join(connectors, ',')
  EXPIRY_WARNING_DAYS: join(
    map(thresholds.?expiryWarningDays ?? split(defaults.EXPIRY_WARNING_DAYS, ','), days => string(days)),
    ','
  )
  EXPIRY_CRITICAL_DAYS: join(
    map(thresholds.?expiryCriticalDays ?? split(defaults.EXPIRY_CRITICAL_DAYS, ','), days => string(days)),
    ','
  )
  SYNC_STALE_WARNING_HOURS: string(thresholds.?syncStaleWarningHours ?? defaults.SYNC_STALE_WARNING_HOURS)
  SYNC_STALE_CRITICAL_HOURS: string(thresholds.?syncStaleCriticalHours ?? defaults.SYNC_STALE_CRITICAL_HOURS)
  VPP_SYNC_STALE_WARNING_HOURS: string(thresholds.?vppSyncStaleWarningHours ?? defaults.VPP_SYNC_STALE_WARNING_HOURS)
  VPP_SYNC_STALE_CRITICAL_HOURS: string(thresholds.?vppSyncStaleCriticalHours ?? defaults.VPP_SYNC_STALE_CRITICAL_HOURS)
  SYNC_ERROR_CRITICAL_HOURS: string(thresholds.?syncErrorCriticalHours ?? defaults.SYNC_ERROR_CRITICAL_HOURS)
  SYNC_ERROR_NAMES: join(map(items(syncErrorNames), code => '${code.key}=${code.value}'), ';')
  CHANGE_DAYS: string(thresholds.?changeDays ?? defaults.CHANGE_DAYS)
  DEVICES_DROPPED_PERCENT: string(thresholds.?devicesDroppedPercent ?? defaults.DEVICES_DROPPED_PERCENT)
  DEVICES_DROPPED_MINIMUM: string(thresholds.?devicesDroppedMinimum ?? defaults.DEVICES_DROPPED_MINIMUM)
  CHECK_SCHEDULE: defaults.CHECK_SCHEDULE // the alert rules count on an hourly check
  INSPECT_SCHEDULE: inspectSchedule
  PRUNE_SCHEDULE: pruneSchedule
  CHECK_TIMEOUT_SECONDS: defaults.CHECK_TIMEOUT_SECONDS
  INSPECT_TIMEOUT_SECONDS: defaults.INSPECT_TIMEOUT_SECONDS
  HISTORY_RETENTION_DAYS: string(historyRetentionDays)
  INSPECT_EVERY_HOURS: string(thresholds.?inspectEveryHours ?? defaults.INSPECT_EVERY_HOURS)
  DEVICE_CONTACT_DAYS: string(thresholds.?deviceContactDays ?? defaults.DEVICE_CONTACT_DAYS)
  DEVICE_EXAMPLES: string(thresholds.?deviceExamples ?? defaults.DEVICE_EXAMPLES)
  DEVICES_WITHOUT_PROFILE_MINIMUM: string(thresholds.?devicesWithoutProfileMinimum ?? defaults.DEVICES_WITHOUT_PROFILE_MINIMUM)
  ENROLLMENT_FAILING_MINIMUM: string(thresholds.?enrollmentFailingMinimum ?? defaults.ENROLLMENT_FAILING_MINIMUM)
  ENROLLMENT_FAILING_PERCENT: string(thresholds.?enrollmentFailingPercent ?? defaults.ENROLLMENT_FAILING_PERCENT)
  ENROLLMENT_EVENTS: enrollmentEvents ? 'true' : 'false'
  // The Azure SDK's and the host's. The host can fail at its start if it has the addresses alone, and it makes an address
  // of the public cloud from the account's name.
  ...(cloudName == 'AzureCloud' ? { AzureWebJobsStorage__accountName: storage.outputs.name } : {})
  AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential'
  AzureWebJobsStorage__blobServiceUri: storage.outputs.blobsEndpoint
  AzureWebJobsStorage__queueServiceUri: storage.outputs.queuesEndpoint
  AzureWebJobsStorage__tableServiceUri: storage.outputs.tablesEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.appInsightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.clientId};Authorization=AAD'
}

@description('The function app\'s names.')
var app = {
  name: 'func-${suffix}'
  planName: 'asp-${suffix}'
}

module flex 'modules/flex.bicep' = if (hosting == 'FlexConsumption') {
  params: {
    name: app.name
    planName: app.planName
    location: location
    tags: tags
    identityId: identity.id
    settings: settings
    containerUrl: storage.outputs.containerUrl
    packageUrl: packageUrl
    subnetId: network.?appSubnetId ?? ''
  }
  dependsOn: [linkScope, privateEndpoints, roles]
}

module appService 'modules/appservice.bicep' = if (hosting == 'AppService') {
  params: {
    name: app.name
    planName: app.planName
    location: location
    tags: tags
    identityId: identity.id
    settings: settings
    packageUrl: packageUrl
    sku: appServiceSku
    subnetId: network.?appSubnetId ?? ''
  }
  dependsOn: [linkScope, privateEndpoints, roles]
}

module diagnostics 'modules/diagnostics.bicep' = if (diagnosticSettings) {
  params: {
    storageAccountName: storage.outputs.name
    appName: app.name
    workspaceId: workspace.id
  }
  dependsOn: [appService, flex]
}

@description('The Logic App\'s name.')
var teamsWorkflowName = 'logic-${suffix}'

module teams 'modules/teams.bicep' = if (!empty(teamsWebhook)) {
  params: {
    name: teamsWorkflowName
    location: location
    tags: tags
    webhook: teamsWebhook
    portalUrl: clouds[cloudName].portal
    documentsUrl: documentsUrl
  }
}

module actionGroups 'modules/action-groups.bicep' = {
  params: {
    name: 'ag-${suffix}'
    location: actionGroupLocation
    tags: tags
    emails: alertEmails
    smsNumbers: alertSmsNumbers
    appAccounts: alertAppAccounts
    roles: alertRoles
    webhook: alertWebhook
    teamsWorkflowName: empty(teamsWebhook) ? '' : teamsWorkflowName
    groups: { every: alertActionGroups, critical: criticalActionGroups, warning: warningActionGroups }
  }
  dependsOn: [teams]
}

module alerts 'modules/alerts.bicep' = {
  params: {
    suffix: suffix
    location: workspace.location
    tags: tags
    actionGroups: actionGroups.outputs.groups
    workspaceId: workspace.id
    queryIdentityId: queryIdentity.outputs.id
    grouping: alertGrouping
    summaryDay: summaryDay
    deploymentId: deploymentId
    intuneUrl: clouds[cloudName].intune
    documentsUrl: documentsUrl
    createdOn: storage.outputs.createdOn
  }
  dependsOn: [roles]
}

module routes 'modules/routes.bicep' = if (!empty(alertRoutes)) {
  // An alert processing rule is in the subscription of what the alerts fire on.
  scope: resourceGroup(
    workspaceParts[2],
    workspaceParts[2] == subscription().subscriptionId ? resourceGroup().name : workspaceParts[4]
  )
  params: {
    suffix: suffix
    tags: tags
    routes: alertRoutes
    workspaceId: workspace.id
    ruleIds: alerts.outputs.tokenRuleIds
    grouping: alertGrouping
  }
}

@description('The function app.')
output FUNCTION_APP_NAME string = app.name
@description('Its resource id.')
output FUNCTION_APP_ID string = resourceId('Microsoft.Web/sites', app.name)
@description('The resource group.')
output RESOURCE_GROUP string = resourceGroup().name
@description('Where the record is kept.')
output TABLES_ENDPOINT string = storage.outputs.tablesEndpoint
@description('Where rows for the alert rules go.')
output LOGS_INGESTION_ENDPOINT string = monitoring.outputs.ingestionEndpoint
@description('The data collection rule\'s immutable id.')
output LOGS_INGESTION_RULE_ID string = monitoring.outputs.ruleImmutableId
@description('Identifies the deployment\'s rows in the workspace.')
output DEPLOYMENT string = deploymentId
@description('The id that queries name the workspace by.')
output WORKSPACE_ID string = workspace.customerId
@description('The identity that the app signs in as.')
output IDENTITY_NAME string = identity.name
@description('Its resource id.')
output IDENTITY_RESOURCE_ID string = identity.id
@description('Its object id, which the Graph role is granted to.')
output IDENTITY_PRINCIPAL_ID string = identity.principalId
@description('Its client id.')
output IDENTITY_CLIENT_ID string = identity.clientId
@description('Microsoft Graph\'s address.')
output GRAPH_ENDPOINT string = graph
@description('The cloud that this was deployed in.')
output AZURE_CLOUD string = cloudName
@description('The workbook in the portal.')
output WORKBOOK_URL string = workbook.outputs.url
@description('Whether the app needs the further Graph role.')
output ENROLLMENT_EVENTS string = enrollmentEvents ? 'true' : 'false'
