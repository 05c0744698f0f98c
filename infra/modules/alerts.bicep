metadata name = 'Alerts'
metadata description = 'Of what people are notified: the query rules, and an activity log alert for a rule that Azure disabled.'

import { ActionGroups, AlertGrouping, SummaryDay, Tags } from 'types.bicep'

@description('Required. What the rules\' names begin with: no other deployment of the group has it.')
param suffix string

@description('Required. The rules\' region, which is the workspace\'s.')
param location string

@description('Required. Their tags.')
param tags Tags

@description('Required. The action groups that a rule notifies, by its severity.')
param actionGroups ActionGroups

@description('Required. Resource id of the workspace.')
param workspaceId string

@description('Required. Resource id of the identity that the rules query with.')
param queryIdentityId string

@description('Required. One alert for each token and condition, or one for each connector and condition.')
param grouping AlertGrouping

@description('Required. Identifies the deployment\'s rows.')
param deploymentId string

@description('Required. Where the project\'s documents are; a rule\'s runbook is a page of them.')
param documentsUrl string

@description('Required. The Intune admin center of the cloud.')
param intuneUrl string

@description('Required. The instant of the deployment\'s creation, from which silence counts. An upgrade keeps it, so it edits no rule.')
param createdOn string

@description('Required. The day on which the summary is sent.')
param summaryDay SummaryDay

@description('The days as KQL numbers them.')
var days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
@description('What the rules are, as data that the tests read, too.')
var rules = loadJsonContent('../alert-rules.json')
@description('Each rule\'s query.')
var queries = {
  token_critical: loadTextContent('../queries/token_critical.kql')
  token_warning: loadTextContent('../queries/token_warning.kql')
  check_failing: loadTextContent('../queries/check_failing.kql')
  // The instant in the file is an example.
  check_silent: replace(loadTextContent('../queries/check_silent.kql'), '2000-01-01T00:00:00Z', createdOn)
  // So is the day; no day has the number that Off gets.
  summary: replace(loadTextContent('../queries/summary.kql'), 'Weekday = 1d', 'Weekday = ${indexOf(days, summaryDay)}d')
}

@description('What a description calls by a name in braces: documents, and the pages in Intune, as shared/guidance/guidance.json has them.')
var addresses = {
  documents: documentsUrl
  ade: '${intuneUrl}/#view/Microsoft_Intune_Enrollment/DepTokensPaging.ReactView'
  apns: '${intuneUrl}/#view/Microsoft_Intune_Enrollment/EnrollmentMenu/~/appleEnrollment'
  vpp: '${intuneUrl}/#view/Microsoft_Intune_DeviceSettings/TenantAdminConnectorsMenu/~/appleVpp'
}
@description('Each rule\'s description, with the addresses.')
var descriptions = map(
  rules,
  rule =>
    reduce(
      items(addresses),
      join(concat(rule.description, ['Run book: {documents}/${rule.runbook}']), '\n'),
      (text, address) => replace(text, '{${address.key}}', address.value)
    )
)

@description('What each rule splits by, and how its mails are headed, in the grouping that was chosen.')
var grouped = map(rules, rule => grouping == 'Connector' ? rule.?byConnector ?? rule : rule)

resource queryRules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for (rule, index) in rules: {
    name: '${suffix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    identity: { type: 'UserAssigned', userAssignedIdentities: { '${queryIdentityId}': {} } }
    properties: {
      displayName: rule.title
      description: descriptions[index]
      enabled: rule.name != 'summary' || summaryDay != 'Off'
      severity: rule.severity
      scopes: [workspaceId]
      evaluationFrequency: rule.frequency
      windowSize: rule.window
      autoMitigate: !(rule.?stateless ?? false)
      // The tables can be seconds old, and the identity's role, too.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            // The value in the file is an example.
            query: replace(queries[rule.name], 'this-deployment', deploymentId)
            timeAggregation: 'Total'
            metricMeasureColumn: 'Tokens'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: map(grouped[index].dimensions, dimension => {
              name: dimension
              operator: 'Include'
              values: ['*']
            })
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: {
        actionGroups: rule.severity == 1
          ? actionGroups.critical
          : rule.severity == 2 ? actionGroups.warning : actionGroups.every
        actionProperties: { 'Email.Subject': grouped[index].subject }
        customProperties: { Runbook: '${documentsUrl}/${rule.runbook}', Subject: grouped[index].subject }
      }
    }
  }
]

// Azure disables a rule whose query fails for a week.
resource ruleDisabled 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: '${suffix}-rule_disabled'
  location: 'global'
  tags: tags
  properties: {
    description: 'An alert rule of the Apple token monitor was disabled, so what it watches is watched by nobody. Open the rule in Azure Monitor, see why its query fails, and enable it. ${documentsUrl}/docs/operations.md#disabled'
    enabled: true
    scopes: [resourceGroup().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'Administrative' }
        { field: 'operationName', equals: 'Microsoft.Insights/scheduledQueryRules/disable/action' }
      ]
    }
    actions: {
      actionGroups: [
        for id in actionGroups.critical: {
          #disable-next-line use-resource-id-functions // the rule does not follow an item of a parameter
          actionGroupId: id
        }
      ]
    }
  }
}

@description('Resource IDs of the rules about tokens.')
output tokenRuleIds string[] = map(
  filter(rules, rule => contains(rule.dimensions, 'TokenName')),
  rule => resourceId('Microsoft.Insights/scheduledQueryRules', '${suffix}-${rule.name}')
)
