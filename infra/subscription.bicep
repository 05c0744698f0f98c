metadata name = 'ADE Token Monitor, with its resource group'
metadata description = 'Makes the resource group and deploys main.bicep into it; azd starts here. Parameters and outputs are main.bicep\'s.'

targetScope = 'subscription'

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
} from 'modules/types.bicep'

@description('Required. The resource group; it is made where it is missing.')
@minLength(1)
@maxLength(90)
param resourceGroupName string

@description('Required. What the resources\' names begin with. Letters, digits and hyphens are kept, and 12 characters.')
@minLength(1)
@maxLength(60)
param namePrefix string

@description('Required. The region of the group and of every resource.')
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

resource group 'Microsoft.Resources/resourceGroups@2020-06-01' = {
  name: resourceGroupName
  location: location
  tags: tags
}

module monitor 'main.bicep' = {
  scope: group
  params: {
    namePrefix: namePrefix
    location: location
    alertEmails: alertEmails
    alertSmsNumbers: alertSmsNumbers
    alertAppAccounts: alertAppAccounts
    alertRoles: alertRoles
    alertWebhook: alertWebhook
    teamsWebhook: teamsWebhook
    alertActionGroups: alertActionGroups
    criticalActionGroups: criticalActionGroups
    warningActionGroups: warningActionGroups
    alertRoutes: alertRoutes
    alertGrouping: alertGrouping
    summaryDay: summaryDay
    connectors: connectors
    thresholds: thresholds
    syncErrorNames: syncErrorNames
    enrollmentEvents: enrollmentEvents
    inspectSchedule: inspectSchedule
    pruneSchedule: pruneSchedule
    historyRetentionDays: historyRetentionDays
    logRetentionDays: logRetentionDays
    readerGroupId: readerGroupId
    hosting: hosting
    appServiceSku: appServiceSku
    network: network
    storageRedundancy: storageRedundancy
    workspaceResourceId: workspaceResourceId
    actionGroupLocation: actionGroupLocation
    diagnosticSettings: diagnosticSettings
    packageUrl: packageUrl
    identityResourceId: identityResourceId
    cloud: cloud
    graphEndpoint: graphEndpoint
    documentsUrl: documentsUrl
    tags: tags
  }
}

@description('The function app.')
output FUNCTION_APP_NAME string = monitor.outputs.FUNCTION_APP_NAME
@description('Its resource id.')
output FUNCTION_APP_ID string = monitor.outputs.FUNCTION_APP_ID
@description('The resource group.')
output RESOURCE_GROUP string = monitor.outputs.RESOURCE_GROUP
@description('Where the record is kept.')
output TABLES_ENDPOINT string = monitor.outputs.TABLES_ENDPOINT
@description('Where rows for the alert rules go.')
output LOGS_INGESTION_ENDPOINT string = monitor.outputs.LOGS_INGESTION_ENDPOINT
@description('The data collection rule\'s immutable id.')
output LOGS_INGESTION_RULE_ID string = monitor.outputs.LOGS_INGESTION_RULE_ID
@description('Identifies the deployment\'s rows in the workspace.')
output DEPLOYMENT string = monitor.outputs.DEPLOYMENT
@description('The id that queries name the workspace by.')
output WORKSPACE_ID string = monitor.outputs.WORKSPACE_ID
@description('The identity that the app signs in as.')
output IDENTITY_NAME string = monitor.outputs.IDENTITY_NAME
@description('Its resource id.')
output IDENTITY_RESOURCE_ID string = monitor.outputs.IDENTITY_RESOURCE_ID
@description('Its object id, which the Graph role is granted to.')
output IDENTITY_PRINCIPAL_ID string = monitor.outputs.IDENTITY_PRINCIPAL_ID
@description('Its client id.')
output IDENTITY_CLIENT_ID string = monitor.outputs.IDENTITY_CLIENT_ID
@description('Microsoft Graph\'s address.')
output GRAPH_ENDPOINT string = monitor.outputs.GRAPH_ENDPOINT
@description('The cloud that this was deployed in.')
output AZURE_CLOUD string = monitor.outputs.AZURE_CLOUD
@description('The workbook in the portal.')
output WORKBOOK_URL string = monitor.outputs.WORKBOOK_URL
@description('Whether the app needs the further Graph role.')
output ENROLLMENT_EVENTS string = monitor.outputs.ENROLLMENT_EVENTS
