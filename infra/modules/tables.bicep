metadata name = 'Tables'
metadata description = 'The two custom tables, in the workspace\'s resource group.'

@description('Required. The workspace\'s name.')
param workspaceName string

@description('Required. Days that the two tables are kept; 0 for the workspace\'s own.')
param retentionDays int

@description('The two tables\' columns, written from shared/storage/rows.py, which the app sends its rows by.')
var tables = loadJsonContent('../columns.json')

resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = {
  name: workspaceName
}

// One at a time: the service refuses two changes of a workspace at once. A workspace that is seconds old can answer 404,
// "ResourceNotFound: Workspace not active".
@batchSize(1)
@retryOn(['ResourceNotFound'], 10)
resource customTables 'Microsoft.OperationalInsights/workspaces/tables@2022-10-01' = [
  for table in items(tables): {
    parent: workspace
    name: table.key
    properties: {
      plan: 'Analytics'
      ...(retentionDays == 0 ? {} : { retentionInDays: retentionDays })
      schema: {
        name: table.key
        columns: map(table.value, column => {
          name: column.name
          type: column.type == 'datetime' ? 'dateTime' : column.type
          description: column.description
        })
      }
    }
  }
]
