metadata name = 'Types'
metadata description = 'What a deployment may be told, as types that main.bicep and subscription.bicep share.'

@export()
@description('When a finding holds. What is left out keeps its default; docs/deployment.md has the table.')
@sealed()
type Thresholds = {
  @description('Optional. Days before an expiry at which a warning is told, largest first. Default 60, 30, 14.')
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
@description('What is watched: Automated Device Enrollment, the Apple MDM push certificate, Apps and Books.')
@minLength(1)
type Connectors = ('ade' | 'apns' | 'vpp')[]

@export()
@description('The cloud that this is deployed in; empty for whichever it is.')
type Cloud = '' | 'AzureCloud' | 'AzureUSGovernment' | 'AzureChinaCloud'

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
