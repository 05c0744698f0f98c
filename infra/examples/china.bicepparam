using '../main.bicep'

// Azure operated by 21Vianet: App Service; a tenant of hundreds of tokens, so one alert for each connector and
// condition, and limits of its own.
param namePrefix = 'northwind'
param location = 'chinanorth3'
param alertEmails = ['intune@northwind.cn']
param alertGrouping = 'Connector'
param cloud = 'AzureChinaCloud'
param hosting = 'AppService'
param connectors = ['ade', 'apns']
param thresholds = {
  expiryWarningDays: [90, 30]
  expiryCriticalDays: [14, 7, 1]
  syncStaleWarningHours: 48
}
param syncErrorNames = { '5': 'Access denied' }
