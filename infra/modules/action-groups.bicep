metadata name = 'Action groups'
metadata description = 'Who is notified: the deployment\'s own action group, and for each severity the groups that its rules notify.'

import { ActionGroupLocation, ActionGroups, AlertRole, Tags } from 'types.bicep'

@description('Required. The action group\'s name.')
param name string

@description('Required. Where its notifications are processed.')
param location ActionGroupLocation

@description('Required. Its tags.')
param tags Tags

@description('Required. Email addresses.')
param emails string[]

@description('Required. Mobile numbers for text messages: +<country code> <number>.')
param smsNumbers string[]

@description('Required. Accounts of the Azure mobile app.')
param appAccounts string[]

@description('Required. Azure roles whose members get an email.')
param roles AlertRole[]

@description('Required. An https address that gets the common alert schema; empty for none.')
@secure()
param webhook string

@description('Required. Name of the Logic App that posts to Teams; empty for none.')
param teamsWorkflowName string

@description('Required. Resource IDs of further action groups, by the severity of the rules that notify them.')
param groups ActionGroups

@description('The roles that Azure sends email to, https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#email-azure-resource-manager, with their IDs.')
var roleIds = {
  Owner: '8e3af657-a8ff-443c-a75c-2fe8c4bcb635'
  Contributor: 'b24988ac-6180-42a0-ab88-20f7382dd24c'
  Reader: 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
  'Monitoring Contributor': '749f88d5-cbae-40b8-bcfc-e573ddc772fa'
  'Monitoring Reader': '43d0d8ad-25c7-4714-9337-8ba259a9fe05'
}

@description('The country codes that Azure sends text messages to: https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#sms (November 2026).')
var countryCodes = split(
  '1,7,27,31,32,33,34,39,40,41,43,44,45,47,49,52,55,56,60,61,64,65,81,82,86,91,351,352,353,358,372,420,852,886,971,972',
  ','
)

@description('The numbers that Azure takes, in parts; any other ends the deployment.')
var smsReceivers = map(
  smsNumbers,
  (number, index) =>
    isNumber(number, countryCodes)
      ? {
          name: 'sms-${index + 1}'
          countryCode: skip(first(split(number, ' ')), 1)
          phoneNumber: last(split(number, ' '))
        }
      : fail('"${number}" in alertSmsNumbers is no number that Azure sends text messages to: write +<country code> <number>, such as +1 5551234567, with a country code of https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#sms')
)

@description('Whether a text is +<country code> <number>, in digits but for the plus sign and the space.')
func isNumber(text string, codes string[]) bool =>
  startsWith(text, '+') && length(split(text, ' ')) == 2 && contains(codes, skip(first(split(text, ' ')), 1)) && isDigits(last(split(
    text,
    ' '
  )))

@description('Whether a text has 4 to 15 digits and nothing else.')
func isDigits(text string) bool =>
  length(text) >= 4 && length(text) <= 15 && empty(filter(
    range(0, length(text)),
    index => !contains('0123456789', substring(text, index, 1))
  ))

@export()
@description('A text that is the resource id of an action group; any other ends the deployment.')
func actionGroupId(text string) string =>
  length(split(text, '/')) == 9 && startsWith(toLower(text), '/subscriptions/') && contains(
      toLower(text),
      '/providers/microsoft.insights/actiongroups/'
    )
    ? text
    : fail('"${text}" is no action group: write a resource id, /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Insights/actionGroups/<name>')

@description('Groups beside the deployment\'s own; more than Azure takes end the deployment.')
func atMostFour(ids string[], parameters string) string[] =>
  length(ids) <= 4
    ? map(ids, id => actionGroupId(id))
    : fail('Azure notifies five action groups for each rule, of which the deployment has one of its own: name at most four in ${parameters}, not ${length(ids)}')

@description('The groups beside the deployment\'s own that a rule notifies, by its severity.')
var others = {
  every: atMostFour(union(groups.every, []), 'alertActionGroups')
  critical: atMostFour(union(groups.every, groups.critical), 'alertActionGroups and criticalActionGroups together')
  warning: atMostFour(union(groups.every, groups.warning), 'alertActionGroups and warningActionGroups together')
}

resource teamsWorkflow 'Microsoft.Logic/workflows@2019-05-01' existing = if (!empty(teamsWorkflowName)) {
  name: empty(teamsWorkflowName) ? 'none' : teamsWorkflowName

  resource trigger 'triggers' existing = {
    name: 'alert'
  }
}

resource actionGroup 'Microsoft.Insights/actionGroups@2021-09-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'Apple tokens'
    emailReceivers: map(range(0, length(emails)), index => {
      name: 'email-${index + 1}'
      emailAddress: emails[index]
      useCommonAlertSchema: true
    })
    smsReceivers: smsReceivers
    azureAppPushReceivers: map(appAccounts, (account, index) => { name: 'app-${index + 1}', emailAddress: account })
    armRoleReceivers: map(roles, (role, index) => {
      name: 'role-${index + 1}'
      roleId: roleIds[role]
      useCommonAlertSchema: true
    })
    webhookReceivers: empty(webhook) ? [] : [{ name: 'webhook', serviceUri: webhook, useCommonAlertSchema: true }]
    logicAppReceivers: empty(teamsWorkflowName)
      ? []
      : [
          {
            name: 'teams'
            resourceId: teamsWorkflow.id
            callbackUrl: teamsWorkflow::trigger!.listCallbackUrl().value
            useCommonAlertSchema: true
          }
        ]
  }
}

@description('The action groups that a rule notifies, by its severity.')
output groups ActionGroups = {
  every: union([actionGroup.id], others.every)
  critical: union([actionGroup.id], others.critical)
  warning: union([actionGroup.id], others.warning)
}
