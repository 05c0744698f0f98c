metadata name = 'Types'
metadata description = 'The parameters of a deployment, as types that main.bicep and subscription.bicep share.'

@export()
@description('The limits of findings. What you leave out keeps its default; docs/deployment.md has the table.')
@sealed()
type Thresholds = {
  @description('Optional. Days before an expiry at which a warning is raised, largest first. Default 60, 30, 14.')
  expiryWarningDays: int[]?

  @description('Optional. Days before an expiry at which it is critical, largest first, all smaller than the warning days. Default 7, 1.')
  expiryCriticalDays: int[]?

  @description('Optional. ADE: hours without a successful sync until a warning. Default 36.')
  @minValue(1)
  syncStaleWarningHours: int?

  @description('Optional. ADE: hours without a successful sync until it is critical. Default 72.')
  @minValue(1)
  syncStaleCriticalHours: int?

  @description('Optional. Apps and Books: hours without a successful sync until a warning. Default 48.')
  @minValue(1)
  vppSyncStaleWarningHours: int?

  @description('Optional. Apps and Books: hours without a successful sync until it is critical. Default 96.')
  @minValue(1)
  vppSyncStaleCriticalHours: int?

  @description('Optional. Hours that a sync error of ADE lasts until it is critical. Default 24.')
  @minValue(0)
  syncErrorCriticalHours: int?

  @description('Optional. Days that a finding about a change is kept. Default 7.')
  @minValue(1)
  changeDays: int?

  @description('Optional. The loss of synced devices, in percent, that is a finding. Default 50.')
  @minValue(1)
  @maxValue(100)
  devicesDroppedPercent: int?

  @description('Optional. The devices that must have been there for that. Default 10.')
  @minValue(1)
  devicesDroppedMinimum: int?

  @description('Optional. Hours after which the devices of a token are inspected again; 0 for every run. Default 24.')
  @minValue(0)
  inspectEveryHours: int?

  @description('Optional. Days without contact that count in the inspection. Default 30.')
  @minValue(1)
  deviceContactDays: int?

  @description('Optional. Serial numbers kept for each symptom, as a place to start; 0 keeps none. Default 20.')
  @minValue(0)
  @maxValue(100)
  deviceExamples: int?

  @description('Optional. Devices waiting without an enrollment profile that are a finding. Default 1.')
  @minValue(1)
  devicesWithoutProfileMinimum: int?

  @description('Optional. Failed or blocked devices that are a finding, if they are also enrollmentFailingPercent of all. Default 3.')
  @minValue(1)
  enrollmentFailingMinimum: int?

  @description('Optional. The share of all devices, in percent, that enrollmentFailingMinimum must be. Default 5.')
  @minValue(1)
  @maxValue(100)
  enrollmentFailingPercent: int?
}

@export()
@description('One alert for each token and condition, or one for each connector and condition, for tenants with more tokens than Azure notifies.')
type AlertGrouping = 'Token' | 'Connector'

@export()
@description('The plan that the app runs on. AppService is for clouds and regions that do not offer Flex Consumption.')
type Hosting = 'FlexConsumption' | 'AppService'

@export()
@description('The size of the App Service plan; empty for B1. Flex Consumption has no sizes.')
type AppServiceSku = '' | 'B1' | 'B2' | 'B3' | 'S1' | 'P0v3' | 'P1v3' | 'P0v4' | 'P1v4'

@export()
@description('How many copies of the record Azure keeps: in one datacenter, in three zones of the region, and each of them with copies in the paired region.')
type StorageRedundancy = 'Standard_LRS' | 'Standard_ZRS' | 'Standard_GRS' | 'Standard_GZRS'

@export()
@description('Where notifications are stored and processed. Azure can process those of a global action group in any geography.')
type ActionGroupLocation =
  | 'global'
  | 'centralindia'
  | 'eastus'
  | 'eastus2'
  | 'germanywestcentral'
  | 'northcentralus'
  | 'southcentralus'
  | 'southindia'
  | 'swedencentral'
  | 'westus'
  | 'westus2'

@export()
@description('Existing network resources, each a resource id. An empty object keeps every service public; an empty id counts as missing.')
@sealed()
type Network = {
  @description('Optional. The subnet of the app, which no other app uses. It is delegated: to Microsoft.App/environments on Flex Consumption, to Microsoft.Web/serverFarms on App Service.')
  appSubnetId: string?

  @description('Optional. The subnet of the private endpoints; a delegated subnet takes none.')
  endpointSubnetId: string?

  @description('Optional. The private DNS zone privatelink.blob.core.windows.net, or the one of your cloud. Leave it out where a policy registers private endpoints.')
  blobZoneId: string?

  @description('Optional. The private DNS zone privatelink.queue.core.windows.net, or the one of your cloud.')
  queueZoneId: string?

  @description('Optional. The private DNS zone privatelink.table.core.windows.net, or the one of your cloud.')
  tableZoneId: string?

  @description('Optional. The Azure Monitor private link scope of your network, where logs must not cross the internet.')
  privateLinkScopeId: string?
}

@export()
@description('What is watched: Automated Device Enrollment, the Apple MDM push certificate, Apps and Books.')
@minLength(1)
type Connectors = ('ade' | 'apns' | 'vpp')[]

@export()
@description('The cloud that this is deployed in; empty for whichever it is.')
type Cloud = '' | 'AzureCloud' | 'AzureUSGovernment' | 'AzureChinaCloud'

@export()
@description('Addresses that Azure does not report: of Microsoft Graph, the Azure portal, and the Intune admin center, as in shared/clouds.py.')
var clouds = {
  AzureCloud: {
    graph: 'https://graph.microsoft.com'
    portal: 'https://portal.azure.com'
    intune: 'https://intune.microsoft.com'
  }
  AzureUSGovernment: {
    graph: 'https://graph.microsoft.us'
    portal: 'https://portal.azure.us'
    intune: 'https://intune.microsoft.us'
  }
  AzureChinaCloud: {
    graph: 'https://microsoftgraph.chinacloudapi.cn'
    portal: 'https://portal.azure.cn'
    intune: 'https://intune.microsoftonline.cn'
  }
}

@export()
@description('Tags of a resource.')
type Tags = {
  @description('A tag.')
  *: string
}

@export()
@description('App settings.')
type Settings = {
  @description('A setting.')
  *: string
}

@export()
@description('Names for codes of ADE sync errors.')
type SyncErrorNames = {
  @description('What the Intune console calls the code that is the key.')
  *: string
}

@export()
@description('A role whose members Azure notifies by email; no other role can be.')
type AlertRole = 'Owner' | 'Contributor' | 'Reader' | 'Monitoring Contributor' | 'Monitoring Reader'

@export()
@description('Resource IDs of action groups, by the severity of the rules that notify them.')
@sealed()
type ActionGroups = {
  @description('Required. Of every rule.')
  every: string[]

  @description('Required. Of rules with severity 1 (critical).')
  critical: string[]

  @description('Required. Of rules with severity 2 (warning).')
  warning: string[]
}

@export()
@description('An action group for some of the tokens.')
@sealed()
type AlertRoute = {
  @description('Required. A text in the names of the tokens, in the case that they have it.')
  @minLength(3)
  @maxLength(100)
  text: string

  @description('Required. Resource id of the action group that is notified, too.')
  actionGroupId: string
}

@export()
@description('The day of the week, in UTC, on which the summary is sent; Off for none.')
type SummaryDay = 'Off' | 'Sunday' | 'Monday' | 'Tuesday' | 'Wednesday' | 'Thursday' | 'Friday' | 'Saturday'

@export()
@description('The items of a text that has commas between them.')
func listOf(text string) string[] => filter(map(split(text, ','), item => trim(item)), item => !empty(item))
