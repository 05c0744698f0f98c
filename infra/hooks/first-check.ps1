# azd runs this on Windows as it runs first-check.sh elsewhere, which tells why: asks the app for a check at once, and
# tells how it went. Nothing here fails a deployment: what cannot be done is told, and the exit status is 0.
$waitSeconds = 10
$askTries = 12
$rowTries = 30

function Leave([string] $Message) {
    $due = [DateTime]::UtcNow.Date.AddHours([DateTime]::UtcNow.Hour).AddMinutes(7)
    if ($due -le [DateTime]::UtcNow) { $due = $due.AddHours(1) }
    Write-Host $Message
    Write-Host "The next check comes by itself at $($due.ToString('HH:mm')) UTC, and then every hour."
    exit 0
}

# az's answer; its complaint is in $complaint.
function Invoke-Az {
    $said = az @args --only-show-errors 2>&1
    $errors = $said | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | ForEach-Object { "$_" }
    $script:complaint = $errors -join "`n"
    $said | Where-Object { $_ -is [string] }
}

# What may not be done is not tried again.
function Test-MayNot { $complaint -match 'AuthorizationFailed|required permissions|not authorized to perform' }

# The newest row whose key is before $Key: rows come by month, and within it newest first, since their keys count down.
function Get-NewestRowBefore([string] $Key) {
    $found = Invoke-Az storage entity query --auth-mode login --subscription $subscription --account-name $account `
        --table-name CheckRun --filter "PartitionKey ge '$month' and RowKey lt '$Key'" --num-results 1 --output json
    if ($LASTEXITCODE -eq 0) { ($found | Out-String | ConvertFrom-Json).items | Select-Object -First 1 }
}

if (-not $env:FUNCTION_APP_ID -or -not $env:TABLES_ENDPOINT) {
    Leave 'FUNCTION_APP_ID or TABLES_ENDPOINT is not set, so no check is asked for: azd sets them and runs this.'
}
if (-not (Get-Command az -ErrorAction SilentlyContinue)) {
    Leave 'The Azure CLI, az, is missing, so no check is asked for.'
}
$subscription = $env:FUNCTION_APP_ID.Split('/')[2]
$account = ([uri] $env:TABLES_ENDPOINT).Host.Split('.')[0]
$month = [DateTime]::UtcNow.ToString('yyyy-MM')
$lastKey = '999999999999999'
Invoke-Az account show --subscription $subscription --output none
if ($LASTEXITCODE -ne 0) {
    Leave "az is not signed in to the subscription $subscription, so no check is asked for: run 'az login'."
}

# What is newer than the newest row of now is the answer; no two clocks need to agree for that.
$mayRead = $true
$row = Get-NewestRowBefore $lastKey
if ($row) {
    $lastKey = $row.RowKey
} elseif ($LASTEXITCODE -ne 0) {
    $mayRead = -not (Test-MayNot)
    $lastKey = "$(253402300799999 - [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds())"
}

Write-Host 'Asking the app for a check.'
for ($left = $askTries; $left -gt 0; $left--) {
    # az takes single quotes, too; how double ones are passed on differs between versions of PowerShell.
    Invoke-Az rest --method post --body "{'input': ''}" --output none `
        --url "$($env:FUNCTION_APP_ID)/hostruntime/admin/functions/check_tokens?api-version=2024-11-01"
    if ($LASTEXITCODE -eq 0 -or (Test-MayNot)) { break }
    Start-Sleep -Seconds $waitSeconds
}
if ($LASTEXITCODE -ne 0) { Leave "Azure did not take the request. Azure says: $complaint" }
if (-not $mayRead) {
    Leave ('It was asked for. You may not read how it goes: that takes the role Storage Table Data Reader on the ' +
        "storage account $account (parameter readerGroupId). The workbook shows it in some minutes: $env:WORKBOOK_URL")
}

Write-Host "Waiting up to $($rowTries * $waitSeconds) seconds for its row in the table CheckRun."
$row = $null
for ($left = $rowTries; $left -gt 0 -and -not $row; $left--) {
    $row = Get-NewestRowBefore $lastKey
    if (-not $row) { Start-Sleep -Seconds $waitSeconds }
}
if (-not $row) {
    Leave ("It was asked for, and there is no row of it. $complaint " +
        "The log is in Application Insights of $($env:FUNCTION_APP_ID.Split('/')[-1]), table traces.")
}

switch ($row.Outcome) {
    'succeeded' { Write-Host 'The check succeeded: all was read, stored and sent to the alert rules.' }
    'degraded' { Write-Host 'The check is degraded: something could not be read.' }
    default {
        Write-Host 'The check failed: not all could be stored or sent to the alert rules.'
        Write-Host $row.StoreError $row.PublishError
        Write-Host 'A right given by this deployment can take 30 minutes to work. The app tries twice more.'
    }
}
foreach ($connector in ($row.Connectors | ConvertFrom-Json).PSObject.Properties) {
    $read = $connector.Value
    $told = if ($read.error) { "could not be read. $($read.error)" } else { "$($read.tokens) tokens" }
    Write-Host "  $($connector.Name): $told"
}
Write-Host ("Tokens: $($row.Tokens); healthy $($row.Healthy), info $($row.Info), warning $($row.Warning), " +
    "unknown $($row.Unknown), critical $($row.Critical)")
Write-Host "The workbook shows more: $env:WORKBOOK_URL"
exit 0
