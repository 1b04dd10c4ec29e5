{{/* The pod, of the StatefulSet and of the Deployment. */}}
{{- define "watcher.pod" -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: watcher
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "watcher.podLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "watcher.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  # Polls get 5 s to end, deliveries 15 s; handing over to other replicas gets 5 s, and the database the rest.
  terminationGracePeriodSeconds: {{ eq .Values.store.type "postgres" | ternary 45 30 }}
  containers:
    - name: watcher
      image: {{ include "watcher.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run, -c, /etc/watcher/watcher.yaml]
      {{- with .Values.extraEnv }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 9468
      livenessProbe:
        httpGet: {path: /-/healthy, port: http, scheme: {{ include "watcher.scheme" . }}}
        {{- $patience := eq .Values.store.type "postgres" | ternary 60 6 }}
        {{- toYaml (merge (deepCopy .Values.livenessProbe) (dict "failureThreshold" $patience)) | nindent 8 }}
      readinessProbe:
        httpGet: {path: /-/ready, port: http, scheme: {{ include "watcher.scheme" . }}}
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      startupProbe:
        httpGet: {path: /-/healthy, port: http, scheme: {{ include "watcher.scheme" . }}}
        {{- toYaml .Values.startupProbe | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        # A folder, never a subPath, so that a changed ConfigMap arrives and is applied live.
        - name: config
          mountPath: /etc/watcher
          readOnly: true
        {{- if include "watcher.secretName" . }}
        - name: secrets
          mountPath: /etc/watcher/secrets
          readOnly: true
        {{- end }}
        - name: data
          mountPath: /var/lib/watcher
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "watcher.fullname" . }}
        defaultMode: 0440
    {{- with include "watcher.secretName" . }}
    - name: secrets
      secret:
        secretName: {{ . }}
        defaultMode: 0440
    {{- end }}
    {{- if eq .Values.store.type "postgres" }}
    - name: data
      emptyDir:
        sizeLimit: 64Mi
    {{- else if .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if eq .Values.store.type "postgres" }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "watcher.selectorLabels" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
